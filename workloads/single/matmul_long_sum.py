# SPDX-License-Identifier: Apache-2.0
"""A small product of matrices with a very long inner dimension."""

import torch
import torch.nn as nn

M = 128
K = 32768
N = 128
SIZES = {"cpu": {"M": 128, "K": 32768, "N": 128}, "gpu": {"M": 256, "K": 524288, "N": 256}}


class Model(nn.Module):
    def forward(self, a, b):
        return torch.matmul(a, b)


def get_inputs():
    return [torch.randn(M, K), torch.randn(K, N)]


def get_init_inputs():
    return []
