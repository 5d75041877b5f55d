# SPDX-License-Identifier: Apache-2.0
"""LayerNorm with learned scale and shift over a whole feature map."""

import torch
import torch.nn as nn

BATCH = 16
CHANNELS = 16
HEIGHT = 128
WIDTH = 128
SIZES = {
    "cpu": {"BATCH": 16, "CHANNELS": 16, "HEIGHT": 128, "WIDTH": 128},
    "gpu": {"BATCH": 32, "CHANNELS": 64, "HEIGHT": 256, "WIDTH": 256},
}
DRAWS = {"cpu": {"BATCH": (4, 32), "CHANNELS": (4, 32), "HEIGHT": (32, 128), "WIDTH": (32, 128)}}


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.norm = nn.LayerNorm(shape)
        # A trained layer's scale and shift are not ones and zeros.
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias, std=0.1)

    def forward(self, x):
        return self.norm(x)


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, HEIGHT, WIDTH)]


def get_init_inputs():
    return [(CHANNELS, HEIGHT, WIDTH)]
