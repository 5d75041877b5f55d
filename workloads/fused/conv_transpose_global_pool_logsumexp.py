# SPDX-License-Identifier: Apache-2.0
"""ConvTranspose2d, global average, a bias, logsumexp over channels, a scale."""

import torch
import torch.nn as nn

BATCH = 8
IN = 32
OUT = 64
SIZE = 48
SIZES = {"cpu": {"BATCH": 8, "IN": 32, "OUT": 64, "SIZE": 48}, "gpu": {"BATCH": 16, "IN": 64, "OUT": 128, "SIZE": 256}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3)
        self.bias = nn.Parameter(torch.randn(outputs, 1, 1) * 0.1)

    def forward(self, x):
        x = self.conv(x).mean(dim=(2, 3), keepdim=True) + self.bias
        return torch.logsumexp(x, dim=1).sum(dim=(1, 2)) * 10.0


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
