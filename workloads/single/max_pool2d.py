# SPDX-License-Identifier: Apache-2.0
"""Max pooling with overlapping, padded windows."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 16
CHANNELS = 32
SIZE = 96
SIZES = {"cpu": {"BATCH": 16, "CHANNELS": 32, "SIZE": 96}, "gpu": {"BATCH": 32, "CHANNELS": 64, "SIZE": 512}}
DRAWS = {"cpu": {"BATCH": (4, 16), "CHANNELS": (8, 64), "SIZE": (32, 128)}}


class Model(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, kernel_size=3, stride=2, padding=1)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return []
