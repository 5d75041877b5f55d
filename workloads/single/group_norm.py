# SPDX-License-Identifier: Apache-2.0
"""Group norm with eight groups of channels."""

import torch
import torch.nn as nn

BATCH = 16
CHANNELS = 32
SIZE = 64
SIZES = {"cpu": {"BATCH": 16, "CHANNELS": 32, "SIZE": 64}, "gpu": {"BATCH": 64, "CHANNELS": 64, "SIZE": 256}}


class Model(nn.Module):
    def __init__(self, groups, channels):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias, std=0.1)

    def forward(self, x):
        return self.norm(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [8, CHANNELS]
