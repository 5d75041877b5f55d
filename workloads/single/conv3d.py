# SPDX-License-Identifier: Apache-2.0
"""A convolution of volumes with a flat kernel."""

import torch
import torch.nn as nn

BATCH = 2
IN = 8
OUT = 16
SIZE = 32
SIZES = {"cpu": {"BATCH": 2, "IN": 8, "OUT": 16, "SIZE": 32}, "gpu": {"BATCH": 16, "IN": 16, "OUT": 64, "SIZE": 96}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, (3, 5, 3))

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
