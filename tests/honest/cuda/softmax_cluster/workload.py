# SPDX-License-Identifier: Apache-2.0
"""Softmax over rows of 512 KiB."""

import torch
import torch.nn as nn

ROWS, COLUMNS = 512, 131072


class Model(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLUMNS)]


def get_init_inputs():
    return []
