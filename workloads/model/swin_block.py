# SPDX-License-Identifier: Apache-2.0
"""A Swin block with shifted windows: roll, attention within windows, roll back."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
SIZE = 28
WINDOW = 7
WIDTH = 96
HEADS = 3
SIZES = {
    "cpu": {"BATCH": 2, "SIZE": 28, "WINDOW": 7, "WIDTH": 96, "HEADS": 3},
    "gpu": {"BATCH": 32, "SIZE": 56, "WINDOW": 7, "WIDTH": 96, "HEADS": 3},
}


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return self.project(y.transpose(1, 2).reshape(batch, length, width))


class Model(nn.Module):
    def __init__(self, window, width, heads):
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        batch, size, _, width = x.shape
        count, shift = size // self.window, self.window // 2
        y = torch.roll(self.norm1(x), (-shift, -shift), (1, 2))
        y = y.view(batch, count, self.window, count, self.window, width).transpose(2, 3)
        y = self.attention(y.reshape(-1, self.window * self.window, width))
        y = y.view(batch, count, count, self.window, self.window, width).transpose(2, 3)
        x = x + torch.roll(y.reshape(batch, size, size, width), (shift, shift), (1, 2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def get_inputs():
    return [torch.randn(BATCH, SIZE, SIZE, WIDTH)]


def get_init_inputs():
    return [WINDOW, WIDTH, HEADS]
