# SPDX-License-Identifier: Apache-2.0
"""A two-layer LSTM over a sequence, and a linear layer on its last step."""

import torch
import torch.nn as nn

BATCH = 8
LENGTH = 64
FEATURES = 64
HIDDEN = 128
CLASSES = 10
SIZES = {
    "cpu": {"BATCH": 8, "LENGTH": 64, "FEATURES": 64, "HIDDEN": 128, "CLASSES": 10},
    "gpu": {"BATCH": 10, "LENGTH": 512, "FEATURES": 128, "HIDDEN": 256, "CLASSES": 10},
}
DRAWS = {"cpu": {"BATCH": (1, 16), "LENGTH": (16, 128), "FEATURES": (16, 128), "HIDDEN": (32, 256)}}


class Model(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, num_layers=2, batch_first=True)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.classify(y[:, -1])


def get_inputs():
    return [torch.randn(BATCH, LENGTH, FEATURES)]


def get_init_inputs():
    return [FEATURES, HIDDEN, CLASSES]
