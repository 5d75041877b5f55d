# SPDX-License-Identifier: Apache-2.0
"""Many matrix products of one shape."""

import torch
import torch.nn as nn

BATCH = 32
M = 128
K = 256
N = 128
SIZES = {"cpu": {"BATCH": 32, "M": 128, "K": 256, "N": 128}, "gpu": {"BATCH": 128, "M": 512, "K": 1024, "N": 2048}}


class Model(nn.Module):
    def forward(self, a, b):
        return torch.bmm(a, b)


def get_inputs():
    return [torch.randn(BATCH, M, K), torch.randn(BATCH, K, N)]


def get_init_inputs():
    return []
