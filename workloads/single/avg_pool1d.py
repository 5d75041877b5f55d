# SPDX-License-Identifier: Apache-2.0
"""Average pooling over one dimension, with padding and overlapping windows."""

import torch
import torch.nn as nn

BATCH = 16
CHANNELS = 64
LENGTH = 4096
KERNEL = 8
STRIDE = 1
PADDING = 4
SIZES = {
    "cpu": {"BATCH": 16, "CHANNELS": 64, "LENGTH": 4096},
    "gpu": {"BATCH": 64, "CHANNELS": 128, "LENGTH": 65536},
}


class Model(nn.Module):
    def __init__(self, kernel_size, stride, padding):
        super().__init__()
        self.pool = nn.AvgPool1d(kernel_size, stride=stride, padding=padding)

    def forward(self, x):
        return self.pool(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, LENGTH)]


def get_init_inputs():
    return [KERNEL, STRIDE, PADDING]
