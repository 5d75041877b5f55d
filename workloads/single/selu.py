# SPDX-License-Identifier: Apache-2.0
"""SELU: an exponential on one side, a scale on the other."""

import torch
import torch.nn as nn

ROWS = 2048
COLUMNS = 2048
SIZES = {"cpu": {"ROWS": 2048, "COLUMNS": 2048}, "gpu": {"ROWS": 4096, "COLUMNS": 65536}}


class Model(nn.Module):
    def forward(self, x):
        return torch.selu(x)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
