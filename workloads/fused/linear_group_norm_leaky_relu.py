# SPDX-License-Identifier: Apache-2.0
"""Linear, group norm over slices of a row, leaky ReLU, added to itself."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 256
FEATURES = 1024
OUT = 1024
SIZES = {"cpu": {"BATCH": 256, "FEATURES": 1024, "OUT": 1024}, "gpu": {"BATCH": 1024, "FEATURES": 8192, "OUT": 8192}}


class Model(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.linear = nn.Linear(features, out)
        self.norm = nn.GroupNorm(32, out)

    def forward(self, x):
        x = F.leaky_relu(self.norm(self.linear(x)), 0.01)
        return x + x


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUT]
