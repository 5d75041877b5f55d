# SPDX-License-Identifier: Apache-2.0
"""Conv3d and a row of activations, then a bias."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
IN = 8
OUT = 16
SIZE = 24
SIZES = {"cpu": {"BATCH": 2, "IN": 8, "OUT": 16, "SIZE": 24}, "gpu": {"BATCH": 16, "IN": 16, "OUT": 64, "SIZE": 64}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3)
        self.bias = nn.Parameter(torch.randn(outputs, 1, 1, 1) * 0.1)

    def forward(self, x):
        x = F.leaky_relu(torch.relu(self.conv(x)), 0.01)
        return torch.sigmoid(F.gelu(x)) + self.bias


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
