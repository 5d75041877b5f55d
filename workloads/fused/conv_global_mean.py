# SPDX-License-Identifier: Apache-2.0
"""Conv2d with a norm, and the mean over all places: linear from end to end."""

import torch
import torch.nn as nn

BATCH = 8
IN = 16
OUT = 32
SIZE = 48
SIZES = {"cpu": {"BATCH": 8, "IN": 16, "OUT": 32, "SIZE": 48}, "gpu": {"BATCH": 128, "IN": 16, "OUT": 64, "SIZE": 128}}


class Model(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.norm = nn.BatchNorm2d(outputs)

        # Statistics as training would leave them.
        nn.init.normal_(self.norm.running_mean, std=0.1)
        nn.init.uniform_(self.norm.running_var, 0.5, 1.5)
        self.eval()

    def forward(self, x):
        return self.norm(self.conv(x)).mean(dim=(2, 3))


def get_inputs():
    return [torch.randn(BATCH, IN, SIZE, SIZE)]


def get_init_inputs():
    return [IN, OUT]
