# SPDX-License-Identifier: Apache-2.0
"""Average pooling of volumes."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 4
CHANNELS = 16
SIZE = 32
SIZES = {"cpu": {"BATCH": 4, "CHANNELS": 16, "SIZE": 32}, "gpu": {"BATCH": 16, "CHANNELS": 32, "SIZE": 128}}


class Model(nn.Module):
    def forward(self, x):
        return F.avg_pool3d(x, kernel_size=3, stride=2, padding=1)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE, SIZE)]


def get_init_inputs():
    return []
