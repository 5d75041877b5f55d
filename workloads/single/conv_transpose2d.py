# SPDX-License-Identifier: Apache-2.0
"""A transposed convolution that doubles the size of an image."""

import torch
import torch.nn as nn

BATCH = 8
IN = 32
OUT = 32
SIZE = 32
SIZES = {"cpu": {"BATCH": 8, "IN": 32, "OUT": 32, "SIZE": 32}, "gpu": {"BATCH": 32, "IN": 64, "OUT": 64, "SIZE": 256}}
DRAWS = {"cpu": {"BATCH": (2, 8), "IN": (8, 64), "OUT": (8, 64), "SIZE": (14, 48)}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
