# SPDX-License-Identifier: Apache-2.0
"""A 1x1 convolution: a matrix product over channels."""

import torch
import torch.nn as nn

BATCH = 8
IN = 64
OUT = 128
SIZE = 56
SIZES = {
    "cpu": {"BATCH": 8, "IN": 64, "OUT": 128, "SIZE": 56},
    "gpu": {"BATCH": 16, "IN": 64, "OUT": 128, "SIZE": 1024},
}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
