# SPDX-License-Identifier: Apache-2.0
"""A diagonal matrix, given as a vector, times a full one."""

import torch
import torch.nn as nn

N = 2048
SIZES = {"cpu": {"N": 2048}, "gpu": {"N": 16384}}


class Model(nn.Module):
    def forward(self, d, a):
        return d.unsqueeze(1) * a


def get_inputs():
    return [torch.randn(N), torch.randn(N, N)]


def get_init_inputs():
    return []
