# SPDX-License-Identifier: Apache-2.0
"""Two linear layers with nothing between them, through a wide middle."""

import torch
import torch.nn as nn

BATCH = 512
FEATURES = 512
OUT = 2048
SIZES = {"cpu": {"BATCH": 512, "FEATURES": 512, "OUT": 2048}, "gpu": {"BATCH": 8192, "FEATURES": 1024, "OUT": 8192}}


class Model(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.linear = nn.Linear(features, out)
        self.second = nn.Linear(out, 256)

    def forward(self, x):
        return self.second(self.linear(x))


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUT]
