# SPDX-License-Identifier: Apache-2.0
"""A residual block of two convolutions, with a projected shortcut."""

import torch
import torch.nn as nn

BATCH = 4
IN = 32
OUT = 64
SIZE = 56
SIZES = {"cpu": {"BATCH": 4, "IN": 32, "OUT": 64, "SIZE": 56}, "gpu": {"BATCH": 128, "IN": 64, "OUT": 128, "SIZE": 112}}


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.block = Block(inputs, outputs, 2)
        self.eval()

    def forward(self, x):
        return self.block(x)


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
