# SPDX-License-Identifier: Apache-2.0
"""20 independent chains of 10 small layers: 200 launches that need not wait for one another."""

import torch
import torch.nn as nn

BRANCHES, LAYERS, ROWS, WIDTH = 20, 10, 32, 128


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)) for _ in range(BRANCHES)
        )

    def forward(self, x):
        results = []
        for branch in self.branches:
            h = x
            for layer in branch:
                h = torch.tanh(layer(h))
            results.append(h)
        return torch.stack(results)


def get_inputs():
    return [torch.randn(ROWS, WIDTH)]


def get_init_inputs():
    return []
