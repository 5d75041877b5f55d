# SPDX-License-Identifier: Apache-2.0
"""Causal attention with softly capped scores, written out as such models write it."""

import torch
import torch.nn as nn

BATCH, HEADS, LENGTH, DIM = 4, 16, 2048, 64


class Model(nn.Module):
    def forward(self, q, k, v):
        scores = torch.matmul(q, k.transpose(-2, -1)) * DIM**-0.5
        scores = 30.0 * torch.tanh(scores / 30.0)
        later = torch.triu(torch.ones(LENGTH, LENGTH, dtype=torch.bool, device=q.device), diagonal=1)
        scores = scores.masked_fill(later, float("-inf"))
        return torch.matmul(torch.softmax(scores, dim=-1), v)


def get_inputs():
    return [torch.randn(BATCH, HEADS, LENGTH, DIM).half() for _ in range(3)]


def get_init_inputs():
    return []
