# SPDX-License-Identifier: Apache-2.0
"""Linear, max pooling along the row, its sum and a scale."""

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

    def forward(self, x):
        x = F.max_pool1d(self.linear(x).unsqueeze(1), 2).squeeze(1)
        return x.sum(dim=1) * 0.5


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUT]
