# SPDX-License-Identifier: Apache-2.0
"""Mean squared error of a large matrix: two inputs, one number."""

import torch
import torch.nn as nn

ROWS = 2048
COLUMNS = 2048
SIZES = {"cpu": {"ROWS": 2048, "COLUMNS": 2048}, "gpu": {"ROWS": 32768, "COLUMNS": 32768}}


class Model(nn.Module):
    def forward(self, x, y):
        return torch.mean((x - y) ** 2)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS), torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
