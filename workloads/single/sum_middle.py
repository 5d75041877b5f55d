# SPDX-License-Identifier: Apache-2.0
"""A sum over the middle dimension."""

import torch
import torch.nn as nn

BATCH = 16
LENGTH = 512
WIDTH = 512
SIZES = {"cpu": {"BATCH": 16, "LENGTH": 512, "WIDTH": 512}, "gpu": {"BATCH": 128, "LENGTH": 4096, "WIDTH": 4096}}
DRAWS = {"cpu": {"BATCH": (4, 16), "LENGTH": (64, 1024), "WIDTH": (64, 1024)}}


class Model(nn.Module):
    def forward(self, x):
        return torch.sum(x, dim=1, keepdim=True)


def get_inputs():
    return [torch.randn(BATCH, LENGTH, WIDTH)]


def get_init_inputs():
    return []
