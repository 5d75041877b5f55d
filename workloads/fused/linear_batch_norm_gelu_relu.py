# SPDX-License-Identifier: Apache-2.0
"""Linear, batch norm by running statistics, GELU, ReLU."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 256
FEATURES = 1024
OUT = 1024
SIZES = {"cpu": {"BATCH": 256, "FEATURES": 1024, "OUT": 1024}, "gpu": {"BATCH": 1024, "FEATURES": 8192, "OUT": 8192}}


class Model(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.linear = nn.Linear(features, out)
        self.norm = nn.BatchNorm1d(out)
        # Statistics as training would leave them.
        nn.init.normal_(self.norm.running_mean, std=0.1)
        nn.init.uniform_(self.norm.running_var, 0.5, 1.5)
        self.eval()

    def forward(self, x):
        return torch.relu(F.gelu(self.norm(self.linear(x))))


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUT]
