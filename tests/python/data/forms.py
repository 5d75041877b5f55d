# SPDX-License-Identifier: Apache-2.0
"""Two modules that are not in KernelBench form: no Model, no get_inputs."""

import torch.nn as nn


class Scale(nn.Module):
    def __init__(self, features, factor=1.0):
        super().__init__()
        self.linear = nn.Linear(features, features)
        self.factor = factor

    def forward(self, x, *, shift=None):
        x = self.linear(x) * self.factor
        return x if shift is None else x + shift


class Other(nn.Module):
    def forward(self, x):
        return x


NOT_A_MODULE = 3
