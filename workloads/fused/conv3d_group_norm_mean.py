# SPDX-License-Identifier: Apache-2.0
"""Conv3d, group norm, and the mean of each sample."""

import torch
import torch.nn as nn

BATCH = 2
IN = 8
OUT = 16
SIZE = 24
SIZES = {"cpu": {"BATCH": 2, "IN": 8, "OUT": 16, "SIZE": 24}, "gpu": {"BATCH": 16, "IN": 16, "OUT": 64, "SIZE": 64}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3)
        self.norm = nn.GroupNorm(4, outputs)

    def forward(self, x):
        return self.norm(self.conv(x)).mean(dim=(1, 2, 3, 4))


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
