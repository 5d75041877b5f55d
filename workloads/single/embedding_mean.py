# SPDX-License-Identifier: Apache-2.0
"""Rows of a table gathered by index and averaged, as a bag of words is."""

import torch
import torch.nn as nn

BATCH = 4096
LENGTH = 32
WORDS = 10000
WIDTH = 64
SIZES = {
    "cpu": {"BATCH": 4096, "LENGTH": 32, "WORDS": 10000, "WIDTH": 64},
    "gpu": {"BATCH": 65536, "LENGTH": 64, "WORDS": 100000, "WIDTH": 256},
}
DRAWS = {"cpu": {"BATCH": (512, 8192), "LENGTH": (8, 64), "WORDS": (1000, 50000), "WIDTH": (32, 256)}}


class Model(nn.Module):
    def __init__(self, words, width):
        super().__init__()
        self.table = nn.Embedding(words, width)

    def forward(self, index):
        return self.table(index).mean(dim=1)


def get_inputs():
    return [torch.randint(0, WORDS, (BATCH, LENGTH))]


def get_init_inputs():
    return [WORDS, WIDTH]
