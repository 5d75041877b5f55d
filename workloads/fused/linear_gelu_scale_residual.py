# SPDX-License-Identifier: Apache-2.0
"""Linear, GELU, a scale, and the input added back."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 512
FEATURES = 1024
SCALE = 0.5
SIZES = {"cpu": {"BATCH": 512, "FEATURES": 1024}, "gpu": {"BATCH": 4096, "FEATURES": 4096}}


class Model(nn.Module):
    def __init__(self, features, scale):
        super().__init__()
        self.linear = nn.Linear(features, features)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * F.gelu(self.linear(x))


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, SCALE]
