# SPDX-License-Identifier: Apache-2.0
"""A Mamba-like layer: a gated state space whose step depends on the input, as one causal product over the sequence."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
LENGTH = 128
WIDTH = 64
STATE = 8
SIZES = {
    "cpu": {"BATCH": 2, "LENGTH": 128, "WIDTH": 64, "STATE": 8},
    "gpu": {"BATCH": 16, "LENGTH": 256, "WIDTH": 512, "STATE": 16},
}


class Model(nn.Module):
    def __init__(self, width, state):
        super().__init__()
        self.expand = nn.Linear(width, 2 * width)
        self.select = nn.Linear(width, 2 * state + 1)
        self.decay = nn.Parameter(-torch.arange(1, state + 1).float() / state)
        self.skip = nn.Parameter(torch.ones(width))
        self.project = nn.Linear(width, width)
        self.state = state

    def forward(self, x):
        u, gate = self.expand(x).chunk(2, dim=-1)
        write, read, step = self.select(u).split([self.state, self.state, 1], dim=-1)
        step = 0.1 * F.softplus(step)
        # What a state holds at t of what was written at s has decayed by the steps between.
        decay = torch.cumsum(step * self.decay, dim=1)
        gaps = decay.unsqueeze(2) - decay.unsqueeze(1)
        causal = torch.tril(torch.ones_like(gaps[0, :, :, 0])).unsqueeze(-1)
        kernel = torch.einsum("btn,btsn,bsn->bts", read, torch.exp(gaps * causal) * causal, write)
        y = kernel @ (step * u) + self.skip * u
        return self.project(y * F.silu(gate))


def get_inputs():
    return [torch.randn(BATCH, LENGTH, WIDTH)]


def get_init_inputs():
    return [WIDTH, STATE]
