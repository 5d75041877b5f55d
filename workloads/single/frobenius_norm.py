# SPDX-License-Identifier: Apache-2.0
"""A whole tensor divided by its Frobenius norm: one number made of everything."""

import torch
import torch.nn as nn

BATCH = 16
CHANNELS = 32
SIZE = 64
SIZES = {"cpu": {"BATCH": 16, "CHANNELS": 32, "SIZE": 64}, "gpu": {"BATCH": 32, "CHANNELS": 64, "SIZE": 512}}


class Model(nn.Module):
    def forward(self, x):
        return x / torch.linalg.vector_norm(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return []
