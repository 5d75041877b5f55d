# SPDX-License-Identifier: Apache-2.0
"""A tall matrix times a flat one: the result is far larger than what it is made of."""

import torch
import torch.nn as nn

N = 2048
K = 32
SIZES = {"cpu": {"N": 2048, "K": 32}, "gpu": {"N": 16384, "K": 32}}


class Model(nn.Module):
    def forward(self, a, b):
        return torch.matmul(a, b)


def get_inputs():
    return [torch.randn(N, K), torch.randn(K, N)]


def get_init_inputs():
    return []
