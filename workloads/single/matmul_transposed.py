# SPDX-License-Identifier: Apache-2.0
"""Both factors arrive transposed."""

import torch
import torch.nn as nn

M = 1024
K = 768
N = 512
SIZES = {"cpu": {"M": 1024, "K": 768, "N": 512}, "gpu": {"M": 4096, "K": 8192, "N": 2048}}
DRAWS = {"cpu": {"M": (64, 1536), "K": (64, 1536), "N": (64, 1536)}}


class Model(nn.Module):
    def forward(self, a, b):
        return torch.matmul(a.T, b.T)


def get_inputs():
    return [torch.randn(K, M), torch.randn(N, K)]


def get_init_inputs():
    return []
