# SPDX-License-Identifier: Apache-2.0
"""Softmax over long rows."""

import torch
import torch.nn as nn

ROWS = 512
COLUMNS = 8192
SIZES = {"cpu": {"ROWS": 512, "COLUMNS": 8192}, "gpu": {"ROWS": 4096, "COLUMNS": 65536}}
DRAWS = {"cpu": {"ROWS": (128, 2048), "COLUMNS": (256, 16384)}}


class Model(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
