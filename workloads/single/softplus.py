# SPDX-License-Identifier: Apache-2.0
"""Softplus with its linear branch for large arguments."""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 2048
COLUMNS = 2048
SIZES = {"cpu": {"ROWS": 2048, "COLUMNS": 2048}, "gpu": {"ROWS": 4096, "COLUMNS": 65536}}


class Model(nn.Module):
    def forward(self, x):
        return F.softplus(x)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
