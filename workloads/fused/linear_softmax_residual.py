# SPDX-License-Identifier: Apache-2.0
"""Linear, a scale, softmax, and the input added back."""

import torch
import torch.nn as nn

BATCH = 256
FEATURES = 1024
OUT = 1024
SIZES = {"cpu": {"BATCH": 256, "FEATURES": 1024, "OUT": 1024}, "gpu": {"BATCH": 1024, "FEATURES": 8192, "OUT": 8192}}


class Model(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.linear = nn.Linear(features, out)

    def forward(self, x):
        return x + torch.softmax(self.linear(x) * 0.125, dim=1)


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUT]
