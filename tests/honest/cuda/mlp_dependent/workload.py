# SPDX-License-Identifier: Apache-2.0
"""8 layers on one vector: nothing but reading weights, which need not wait for the layer before."""

import torch
import torch.nn as nn

LAYERS, WIDTH = 8, 2048


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def get_inputs():
    return [torch.randn(WIDTH)]


def get_init_inputs():
    return []
