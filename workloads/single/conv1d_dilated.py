# SPDX-License-Identifier: Apache-2.0
"""A convolution over time with dilation and stride."""

import torch
import torch.nn as nn

BATCH = 8
IN = 32
OUT = 64
LENGTH = 4096
SIZES = {
    "cpu": {"BATCH": 8, "IN": 32, "OUT": 64, "LENGTH": 4096},
    "gpu": {"BATCH": 64, "IN": 64, "OUT": 128, "LENGTH": 65536},
}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 3, stride=2, dilation=4)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(BATCH, IN, LENGTH)]


def get_init_inputs():
    return [IN, OUT]
