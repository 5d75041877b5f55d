# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2's inverted residual: widen, filter each channel, narrow."""

import torch
import torch.nn as nn

BATCH = 4
CHANNELS = 32
SIZE = 56
SIZES = {"cpu": {"BATCH": 4, "CHANNELS": 32, "SIZE": 56}, "gpu": {"BATCH": 128, "CHANNELS": 64, "SIZE": 112}}


class Model(nn.Module):
    def __init__(self, channels):
        super().__init__()
        wide = 6 * channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.eval()

    def forward(self, x):
        return x + self.layers(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS]
