# SPDX-License-Identifier: Apache-2.0
"""A square matrix product: bound by arithmetic."""

import torch
import torch.nn as nn

N = 1024
SIZES = {"cpu": {"N": 1024}, "gpu": {"N": 4096}}


class Model(nn.Module):
    def forward(self, a, b):
        return torch.matmul(a, b)


def get_inputs():
    return [torch.randn(N, N), torch.randn(N, N)]


def get_init_inputs():
    return []
