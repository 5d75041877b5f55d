# SPDX-License-Identifier: Apache-2.0
"""Scaled dot-product attention, without a mask."""

import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH = 2
HEADS = 8
LENGTH = 256
WIDTH = 64
SIZES = {
    "cpu": {"BATCH": 2, "HEADS": 8, "LENGTH": 256, "WIDTH": 64},
    "gpu": {"BATCH": 32, "HEADS": 32, "LENGTH": 512, "WIDTH": 128},
}
DRAWS = {"cpu": {"BATCH": (1, 4), "HEADS": (2, 16), "LENGTH": (64, 512), "WIDTH": (16, 96, 8)}}


class Model(nn.Module):
    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)


def get_inputs():
    return [torch.randn(BATCH, HEADS, LENGTH, WIDTH) for _ in range(3)]


def get_init_inputs():
    return []
