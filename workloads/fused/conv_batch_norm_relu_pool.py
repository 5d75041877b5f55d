# SPDX-License-Identifier: Apache-2.0
"""Conv2d, batch norm with its running statistics (inference), ReLU and max pooling."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 8
IN_CHANNELS = 32
OUT_CHANNELS = 64
SIZE = 48
SIZES = {
    "cpu": {"BATCH": 8, "IN_CHANNELS": 32, "OUT_CHANNELS": 64, "SIZE": 48},
    "gpu": {"BATCH": 128, "IN_CHANNELS": 64, "OUT_CHANNELS": 128, "SIZE": 112},
}


class Model(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        # Statistics and an affine part as training would leave them.
        nn.init.normal_(self.norm.running_mean, std=0.1)
        nn.init.uniform_(self.norm.running_var, 0.5, 1.5)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias, std=0.1)
        self.eval()

    def forward(self, x):
        return F.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)


def get_inputs():
    return [torch.randn(BATCH, IN_CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [IN_CHANNELS, OUT_CHANNELS]
