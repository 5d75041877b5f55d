# SPDX-License-Identifier: Apache-2.0
"""ReLU over a large matrix: as many bytes in as out, no arithmetic to speak of."""

import torch
import torch.nn as nn

ROWS = 2048
COLUMNS = 2048
SIZES = {"cpu": {"ROWS": 2048, "COLUMNS": 2048}, "gpu": {"ROWS": 4096, "COLUMNS": 65536}}


class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
