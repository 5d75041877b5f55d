# SPDX-License-Identifier: Apache-2.0
"""EfficientNet's MBConv: a depthwise convolution with squeeze and excitation."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 4
CHANNELS = 24
SIZE = 56
SIZES = {"cpu": {"BATCH": 4, "CHANNELS": 24, "SIZE": 56}, "gpu": {"BATCH": 64, "CHANNELS": 112, "SIZE": 56}}


class Model(nn.Module):
    def __init__(self, channels):
        super().__init__()
        wide = 6 * channels
        self.expand = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU())
        self.filter = nn.Sequential(
            nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.SiLU()
        )
        self.squeeze = nn.Conv2d(wide, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, wide, 1)
        self.project = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.eval()

    def forward(self, x):
        y = self.filter(self.expand(x))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean(dim=(2, 3), keepdim=True)))))
        return x + self.project(y * gate)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS]
