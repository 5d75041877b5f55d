# SPDX-License-Identifier: Apache-2.0
"""KL divergence of rows of probabilities."""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS = 1024
COLUMNS = 2048
SIZES = {"cpu": {"ROWS": 1024, "COLUMNS": 2048}, "gpu": {"ROWS": 16384, "COLUMNS": 16384}}


class Model(nn.Module):
    def forward(self, p, q):
        return F.kl_div(torch.log(p), q, reduction="batchmean")


def get_inputs():
    return [torch.rand(ROWS, COLUMNS).softmax(dim=-1), torch.rand(ROWS, COLUMNS).softmax(dim=-1)]


def get_init_inputs():
    return []
