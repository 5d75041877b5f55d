# SPDX-License-Identifier: Apache-2.0
"""A U-Net of two levels with softmax over the channels of each pair of convolutions."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
CHANNELS = 8
WIDTH = 16
SIZE = 64
SIZES = {
    "cpu": {"BATCH": 2, "CHANNELS": 8, "WIDTH": 16, "SIZE": 64},
    "gpu": {"BATCH": 8, "CHANNELS": 8, "WIDTH": 64, "SIZE": 512},
}


class Pair(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        x = torch.softmax(self.norm1(self.conv1(x)), dim=1)
        return torch.softmax(self.norm2(self.conv2(x)), dim=1)


class Model(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.down1 = Pair(channels, width)
        self.down2 = Pair(width, 2 * width)
        self.middle = Pair(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.join2 = Pair(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, 2)
        self.join1 = Pair(2 * width, width)
        self.last = nn.Conv2d(width, channels, 1)
        self.eval()

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        x = self.middle(F.max_pool2d(b, 2))
        x = self.join2(torch.cat([self.up2(x), b], dim=1))
        x = self.join1(torch.cat([self.up1(x), a], dim=1))
        return self.last(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS, WIDTH]
