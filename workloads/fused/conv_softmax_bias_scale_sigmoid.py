# SPDX-License-Identifier: Apache-2.0
"""Conv2d, softmax over channels, a bias, a scale and a sigmoid."""

import torch
import torch.nn as nn

BATCH = 8
IN_CHANNELS = 16
OUT_CHANNELS = 64
SIZE = 48
KERNEL = 3
SCALE = 2.0
SIZES = {
    "cpu": {"BATCH": 8, "IN_CHANNELS": 16, "OUT_CHANNELS": 64, "SIZE": 48},
    "gpu": {"BATCH": 128, "IN_CHANNELS": 64, "OUT_CHANNELS": 128, "SIZE": 64},
}


class Model(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, scale):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size)
        self.bias = nn.Parameter(torch.randn(out_channels, 1, 1))
        self.scale = scale

    def forward(self, x):
        x = torch.softmax(self.conv(x), dim=1)
        return torch.sigmoid((x + self.bias) * self.scale)


def get_inputs():
    return [torch.randn(BATCH, IN_CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [IN_CHANNELS, OUT_CHANNELS, KERNEL, SCALE]
