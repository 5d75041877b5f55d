# SPDX-License-Identifier: Apache-2.0
"""Conv2d, GELU and the mean over all places."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 8
IN = 16
OUT = 32
SIZE = 48
SIZES = {"cpu": {"BATCH": 8, "IN": 16, "OUT": 32, "SIZE": 48}, "gpu": {"BATCH": 128, "IN": 16, "OUT": 64, "SIZE": 128}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)

    def forward(self, x):
        return F.gelu(self.conv(x)).mean(dim=(2, 3))


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
