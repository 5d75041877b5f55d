# SPDX-License-Identifier: Apache-2.0
"""GELU in its exact form over a large matrix: bound by memory, with erf on the way."""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 2048
COLUMNS = 2048
SIZES = {"cpu": {"ROWS": 2048, "COLUMNS": 2048}, "gpu": {"ROWS": 4096, "COLUMNS": 65536}}
DRAWS = {"cpu": {"ROWS": (256, 4096), "COLUMNS": (256, 4096)}}


class Model(nn.Module):
    def forward(self, x):
        return F.gelu(x)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
