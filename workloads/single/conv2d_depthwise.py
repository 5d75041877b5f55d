# SPDX-License-Identifier: Apache-2.0
"""A depthwise convolution: one filter for each channel."""

import torch
import torch.nn as nn

BATCH = 8
CHANNELS = 64
SIZE = 112
SIZES = {"cpu": {"BATCH": 8, "CHANNELS": 64, "SIZE": 112}, "gpu": {"BATCH": 16, "CHANNELS": 64, "SIZE": 512}}
DRAWS = {"cpu": {"BATCH": (2, 8), "CHANNELS": (16, 128), "SIZE": (28, 112)}}


class Model(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS]
