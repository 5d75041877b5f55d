# SPDX-License-Identifier: Apache-2.0
"""A long product whose 140 tiles of 128 x 256 fill 132 multiprocessors 1.06 times: whole tiles leave many idle."""

import torch
import torch.nn as nn

ROWS, COLUMNS, DEPTH = 1792, 2560, 8192


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(DEPTH, COLUMNS).half()

    def forward(self, x):
        return torch.square(torch.relu(self.linear(x)))


def get_inputs():
    return [torch.randn(ROWS, DEPTH).half()]


def get_init_inputs():
    return []
