# SPDX-License-Identifier: Apache-2.0
"""A plain recurrent cell over 512 steps."""

import torch
import torch.nn as nn

STEPS, BATCH, HIDDEN = 512, 8, 1024


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter((torch.rand(HIDDEN, HIDDEN) * 2 - 1) / HIDDEN**0.5)
        self.bias = nn.Parameter((torch.rand(HIDDEN) * 2 - 1) / HIDDEN**0.5)

    def forward(self, x, h):
        states = []
        for t in range(STEPS):
            h = torch.tanh(x[t] + nn.functional.linear(h, self.weight, self.bias))
            states.append(h)
        return torch.stack(states)


def get_inputs():
    return [torch.randn(STEPS, BATCH, HIDDEN), torch.randn(BATCH, HIDDEN)]


def get_init_inputs():
    return []
