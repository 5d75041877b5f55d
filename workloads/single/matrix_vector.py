# SPDX-License-Identifier: Apache-2.0
"""A matrix times a vector: every element of the matrix is used once."""

import torch
import torch.nn as nn

ROWS = 2048
COLUMNS = 8192
SIZES = {"cpu": {"ROWS": 2048, "COLUMNS": 8192}, "gpu": {"ROWS": 2048, "COLUMNS": 1048576}}


class Model(nn.Module):
    def forward(self, a, x):
        return torch.matmul(a, x)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS), torch.randn(COLUMNS, 1)]


def get_init_inputs():
    return []
