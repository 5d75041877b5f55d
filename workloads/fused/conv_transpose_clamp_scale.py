# SPDX-License-Identifier: Apache-2.0
"""ConvTranspose2d, a bias, a clamp, a scale, a clamp and a division."""

import torch
import torch.nn as nn

BATCH = 8
IN = 32
OUT = 32
SIZE = 24
SIZES = {"cpu": {"BATCH": 8, "IN": 32, "OUT": 32, "SIZE": 24}, "gpu": {"BATCH": 64, "IN": 64, "OUT": 64, "SIZE": 128}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.bias = nn.Parameter(torch.randn(outputs, 1, 1) * 0.1)

    def forward(self, x):
        x = torch.clamp(self.conv(x) + self.bias, 0.0, 1.0)
        return torch.clamp(x * 2.0, 0.0, 1.0) / 2.0


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
