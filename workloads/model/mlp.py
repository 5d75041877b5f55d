# SPDX-License-Identifier: Apache-2.0
"""A multilayer perceptron with ReLU."""

import torch
import torch.nn as nn

BATCH = 128
FEATURES = 1024
HIDDEN = 2048
CLASSES = 1000
SIZES = {
    "cpu": {"BATCH": 128, "FEATURES": 1024, "HIDDEN": 2048, "CLASSES": 1000},
    "gpu": {"BATCH": 1024, "FEATURES": 8192, "HIDDEN": 8192, "CLASSES": 8192},
}


class Model(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        widths = [features, hidden, hidden, classes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


def get_inputs():
    return [torch.randn(BATCH, FEATURES)]


def get_init_inputs():
    return [FEATURES, HIDDEN, CLASSES]
