# SPDX-License-Identifier: Apache-2.0
"""A padded 3x3 convolution of images."""

import torch
import torch.nn as nn

BATCH = 8
IN = 32
OUT = 64
SIZE = 56
SIZES = {"cpu": {"BATCH": 8, "IN": 32, "OUT": 64, "SIZE": 56}, "gpu": {"BATCH": 64, "IN": 64, "OUT": 128, "SIZE": 256}}
DRAWS = {"cpu": {"BATCH": (2, 16), "IN": (8, 64), "OUT": (8, 128), "SIZE": (14, 64)}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
