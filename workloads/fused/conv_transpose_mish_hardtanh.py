# SPDX-License-Identifier: Apache-2.0
"""ConvTranspose2d, Mish, a constant added, hard tanh and a scale."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 8
IN = 32
OUT = 32
SIZE = 24
SIZES = {"cpu": {"BATCH": 8, "IN": 32, "OUT": 32, "SIZE": 24}, "gpu": {"BATCH": 64, "IN": 64, "OUT": 64, "SIZE": 128}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x):
        return F.hardtanh(F.mish(self.conv(x)) + 0.5) * 2.0


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
