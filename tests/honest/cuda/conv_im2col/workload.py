# SPDX-License-Identifier: Apache-2.0
"""A 3x3 convolution with bias and ReLU on channels-last images."""

import torch
import torch.nn as nn

BATCH, HEIGHT, WIDTH, CHANNELS = 32, 56, 56, 128


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).half()

    def forward(self, x):
        # [N, H, W, C] in and out; the permutes move nothing.
        return torch.relu(self.conv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1).contiguous()


def get_inputs():
    return [torch.randn(BATCH, HEIGHT, WIDTH, CHANNELS).half()]


def get_init_inputs():
    return []
