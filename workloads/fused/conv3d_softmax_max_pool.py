# SPDX-License-Identifier: Apache-2.0
"""Conv3d, softmax over channels, max pooling twice."""

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

    def forward(self, x):
        x = torch.softmax(self.conv(x), dim=1)
        return F.max_pool3d(F.max_pool3d(x, 2), 2)


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
