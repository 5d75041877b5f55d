# SPDX-License-Identifier: Apache-2.0
"""A matrix product with bias, Mish, and logsumexp over each row."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 512
IN_FEATURES = 512
OUT_FEATURES = 2048
SIZES = {
    "cpu": {"BATCH": 512, "IN_FEATURES": 512, "OUT_FEATURES": 2048},
    "gpu": {"BATCH": 2048, "IN_FEATURES": 4096, "OUT_FEATURES": 8192},
}


class Model(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_features, out_features) / in_features**0.5)
        self.bias = nn.Parameter(torch.randn(out_features) * 0.1)

    def forward(self, x):
        x = F.mish(torch.matmul(x, self.weight) + self.bias)
        return torch.logsumexp(x, dim=1, keepdim=True)


def get_inputs():
    return [torch.randn(BATCH, IN_FEATURES)]


def get_init_inputs():
    return [IN_FEATURES, OUT_FEATURES]
