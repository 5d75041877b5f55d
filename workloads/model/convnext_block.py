# SPDX-License-Identifier: Apache-2.0
"""A ConvNeXt block: a wide depthwise filter, then a norm and two layers over channels, which stand last for that."""

import torch
import torch.nn as nn

BATCH = 4
CHANNELS = 96
SIZE = 28
SIZES = {"cpu": {"BATCH": 4, "CHANNELS": 96, "SIZE": 28}, "gpu": {"BATCH": 64, "CHANNELS": 192, "SIZE": 56}}


class Model(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x):
        y = self.filter(x).permute(0, 2, 3, 1)
        y = self.narrow(nn.functional.gelu(self.widen(self.norm(y))))
        return x + (self.scale * y).permute(0, 3, 1, 2)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS]
