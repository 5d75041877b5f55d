# SPDX-License-Identifier: Apache-2.0
"""Running sums along rows."""

import torch
import torch.nn as nn

ROWS = 1024
COLUMNS = 4096
SIZES = {"cpu": {"ROWS": 1024, "COLUMNS": 4096}, "gpu": {"ROWS": 32768, "COLUMNS": 32768}}
DRAWS = {"cpu": {"ROWS": (128, 2048), "COLUMNS": (256, 8192)}}


class Model(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
