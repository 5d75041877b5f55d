# SPDX-License-Identifier: Apache-2.0
"""Instance norm: every channel of every image for itself."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 16
CHANNELS = 32
SIZE = 64
SIZES = {"cpu": {"BATCH": 16, "CHANNELS": 32, "SIZE": 64}, "gpu": {"BATCH": 64, "CHANNELS": 64, "SIZE": 256}}


class Model(nn.Module):
    def forward(self, x):
        return F.instance_norm(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return []
