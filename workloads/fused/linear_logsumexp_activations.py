# SPDX-License-Identifier: Apache-2.0
"""Linear, logsumexp over each row, two leaky ReLUs and two GELUs on what is left."""

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
        x = torch.logsumexp(self.linear(x), dim=1, keepdim=True)
        x = F.leaky_relu(F.leaky_relu(x))
        return F.gelu(F.gelu(x))


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, OUT]
