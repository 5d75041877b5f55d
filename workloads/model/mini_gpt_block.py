# SPDX-License-Identifier: Apache-2.0
"""A GPT block with its causal mask and softmax written out, and GELU by tanh."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
LENGTH = 128
WIDTH = 256
HEADS = 8
SIZES = {
    "cpu": {"BATCH": 2, "LENGTH": 128, "WIDTH": 256, "HEADS": 8},
    "gpu": {"BATCH": 32, "LENGTH": 512, "WIDTH": 768, "HEADS": 8},
}


class Model(nn.Module):
    def __init__(self, length, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.register_buffer("mask", torch.tril(torch.ones(length, length)).view(1, 1, length, length))

    def attention(self, x):
        batch, length, width = x.shape
        each = width // self.heads
        q, k, v = (t.view(batch, length, self.heads, each).transpose(1, 2) for t in self.qkv(x).split(width, dim=2))
        weights = (q @ k.transpose(-2, -1)) * each**-0.5
        weights = weights.masked_fill(self.mask[:, :, :length, :length] == 0, float("-inf"))
        y = torch.softmax(weights, dim=-1) @ v
        return self.project(y.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


def get_inputs():
    return [torch.randn(BATCH, LENGTH, WIDTH)]


def get_init_inputs():
    return [LENGTH, WIDTH, HEADS]
