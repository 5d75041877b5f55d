# SPDX-License-Identifier: Apache-2.0
"""A depthwise and a pointwise convolution, each with norm and ReLU6."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 8
IN = 32
OUT = 64
SIZE = 56
SIZES = {"cpu": {"BATCH": 8, "IN": 32, "OUT": 64, "SIZE": 56}, "gpu": {"BATCH": 128, "IN": 64, "OUT": 128, "SIZE": 112}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.norm = nn.BatchNorm2d(inputs)
        self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.eval()

    def forward(self, x):
        x = F.relu6(self.norm(self.conv(x)))
        return F.relu6(self.norm2(self.mix(x)))


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
