# SPDX-License-Identifier: Apache-2.0
"""A GRU that reads a sequence in both directions."""

import torch
import torch.nn as nn

BATCH = 8
LENGTH = 64
FEATURES = 64
HIDDEN = 64
SIZES = {
    "cpu": {"BATCH": 8, "LENGTH": 64, "FEATURES": 64, "HIDDEN": 64},
    "gpu": {"BATCH": 10, "LENGTH": 512, "FEATURES": 128, "HIDDEN": 256},
}


class Model(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.gru = nn.GRU(features, hidden, batch_first=True, bidirectional=True)

    def forward(self, x, state):
        y, _ = self.gru(x, state)
        return y


def get_inputs():
    return [torch.randn(BATCH, LENGTH, FEATURES), torch.randn(2, BATCH, HIDDEN)]


def get_init_inputs():
    return [FEATURES, HIDDEN]
