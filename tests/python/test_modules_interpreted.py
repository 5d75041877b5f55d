# SPDX-License-Identifier: Apache-2.0
"""Small modules from file to interpreter: export, lowering and every op in between give what PyTorch gives, with the
buffers that forward changes."""

import re
import subprocess

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_ops import TOOL, compare

from kernelwright.export import export, write
from kernelwright.workload import load

HEAD = """import torch
import torch.nn as nn
import torch.nn.functional as F
"""
MODULES = {
    "batch_norm_training": """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.BatchNorm2d(4)
    def forward(self, x):
        return F.max_pool2d(F.leaky_relu(self.norm(self.conv(x))), 2)
def get_inputs(): return [torch.randn(2, 3, 6, 6)]
""",
    "attention": """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, activation="gelu")
    def forward(self, x):
        return self.block(x)
def get_inputs(): return [torch.randn(2, 5, 8)]
""",
    "language_loss": """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight
        self.norm = nn.LayerNorm(6)
    def forward(self, tokens):
        logits = self.head(self.norm(self.table(tokens[:, :-1])))
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].reshape(-1))
def get_inputs(): return [torch.randint(0, 11, (2, 5))]
""",
    "decoder": """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.GroupNorm(2, 4)
    def forward(self, x, scale=2.0):
        x = F.silu(self.norm(x)) * scale
        left, right = x.chunk(2, dim=1)
        y = self.up(torch.cat([right, left], dim=1))
        return {"image": torch.clamp(y, -1, 1), "mean": y.mean((2, 3)), "best": y.flatten(1).argmax(1)}
def get_inputs(): return [torch.randn(2, 4, 3, 3)]
""",
    "running_average": """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("average", torch.zeros(3))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
    def forward(self, x):
        self.average.mul_(0.9).add_(x.mean(0) * 0.1)
        self.calls += 1
        return x - self.average, torch.where(x > 0, x, x.new_tensor(0.5))
def get_inputs(): return [torch.randn(4, 3)]
""",
}

# What forward gives, and inputs.
FORWARDS = {
    "hinge_loss": ("F.hinge_embedding_loss(x, torch.sign(y), margin=0.7)", "torch.randn(5, 6), torch.randn(5, 6)"),
    "classes_hinge_loss": ("F.relu(1 - x * torch.sign(y)).mean()", "torch.randn(5, 6), torch.randn(5, 6)"),
    "triplet_loss": (
        "F.triplet_margin_loss(x, y, z, margin=0.5)",
        "torch.randn(4, 6), torch.randn(4, 6), torch.randn(4, 6)",
    ),
    "cosine_loss": (
        "F.cosine_embedding_loss(x, y, torch.sign(z), margin=0.2)",
        "torch.randn(4, 6), torch.randn(4, 6), torch.randn(4)",
    ),
    "cosine_similarity": ("F.cosine_similarity(x, y, dim=1)", "torch.randn(4, 6), torch.randn(4, 6)"),
    "smooth_losses": (
        "F.huber_loss(x, y, delta=0.3), F.smooth_l1_loss(x, y), F.kl_div(x.log_softmax(1), y.softmax(1), reduction='batchmean')",
        "torch.randn(4, 6), torch.randn(4, 6)",
    ),
    "sums_reversed": ("x.flip(1).cumsum(1).flip(1)", "torch.randn(4, 9)"),
    "sums_exclusive": ("torch.cat([torch.zeros_like(x[:, :1]), x], 1)[:, :-1].cumsum(1)", "torch.randn(4, 9)"),
    "sums_masked": ("(x * (y > 0)).cumsum(1), x.cumprod(0)", "torch.randn(4, 9), torch.randn(4, 9)"),
    "mesh": (
        "torch.stack(torch.meshgrid(x, y, indexing='ij')), torch.meshgrid(x, y, indexing='xy')[0]",
        "torch.randn(4), torch.randn(3)",
    ),
    "classes": ("F.one_hot(x, 5), F.one_hot(x, 5).float() @ y", "torch.randint(0, 5, (6,)), torch.randn(5, 3)"),
    "resized": (
        "F.interpolate(x, scale_factor=2, mode='nearest'), F.interpolate(x, size=(7, 5), mode='bilinear', align_corners=False), F.pixel_shuffle(x, 2)",
        "torch.randn(2, 4, 4, 3)",
    ),
    "pools": (
        "F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), F.adaptive_avg_pool2d(x, 3), F.max_pool2d(x, 2, return_indices=True)[1]",
        "torch.randn(2, 3, 8, 7)",
    ),
    "pools_3d": (
        "F.max_pool3d(x, 2, padding=1), F.avg_pool3d(x, 2), F.adaptive_max_pool3d(x, 2)",
        "torch.randn(1, 2, 5, 6, 4)",
    ),
    "einsums": (
        "torch.einsum('bij,bjk->bik', x, y), torch.einsum('bij->ji', x), torch.einsum('bij,bjk,k->bi', x, y, z)",
        "torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(5)",
    ),
    "tiles": (
        "F.unfold(x, 3, padding=1), F.fold(F.unfold(x, 2, stride=2), (6, 4), 2, stride=2)",
        "torch.randn(2, 3, 6, 4)",
    ),
}
# A part with weights, what forward gives, and inputs.
PARTS = {
    "multihead": (
        "nn.MultiheadAttention(8, 2, batch_first=True)",
        "self.part(x, y, y, need_weights=False)[0]",
        "torch.randn(2, 5, 8), torch.randn(2, 7, 8)",
    ),
    "rnn": (
        "nn.RNN(4, 5, num_layers=2, bidirectional=True)",
        "self.part(x, y)",
        "torch.randn(6, 2, 4), torch.randn(4, 2, 5)",
    ),
    "gru": (
        "nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True)",
        "self.part(x, y)",
        "torch.randn(2, 6, 4), torch.randn(4, 2, 5)",
    ),
    "lstm": (
        "nn.LSTM(4, 5, num_layers=2, bidirectional=True)",
        "self.part(x, (y, y * 0.5))",
        "torch.randn(6, 2, 4), torch.randn(4, 2, 5)",
    ),
    "transposed_3d": (
        "nn.ConvTranspose3d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)",
        "self.part(x)",
        "torch.randn(1, 4, 3, 2, 4)",
    ),
    "transposed_1d": ("nn.ConvTranspose1d(3, 2, 4, stride=3, dilation=2)", "self.part(x)", "torch.randn(2, 3, 7)"),
    "rms": ("nn.RMSNorm(6)", "self.part(x)", "torch.randn(3, 6)"),
    "instance": (
        "nn.InstanceNorm2d(3, affine=True, track_running_stats=True)",
        "self.part(x)",
        "torch.randn(2, 3, 4, 5)",
    ),
}


def _module(part, gives, inputs):
    names = ", ".join(name for name in "xyz" if re.search(rf"\b{name}\b", gives))
    made = f"        self.part = {part}\n" if part else ""
    return f"""
class Model(nn.Module):
    def __init__(self):
        super().__init__()
{made}    def forward(self, {names}):
        return {gives}
def get_inputs(): return [{inputs}]
"""


MODULES.update({name: _module("", *row) for name, row in FORWARDS.items()})
MODULES.update({name: _module(*row) for name, row in PARTS.items()})


@pytest.mark.parametrize("name", MODULES)
def test_module(name, tmp_path):
    file = tmp_path / f"{name}.py"
    file.write_text(HEAD + MODULES[name] + "def get_init_inputs(): return []\n")
    workload = load(str(file))
    exported = export(workload)
    write(exported, tmp_path / "out")
    args, kwargs = workload.make_inputs(3)
    leaves = exported.flatten_inputs(args, kwargs)
    save_file(
        {n: v.contiguous().clone() for n, v in zip(exported.graph["inputs"], leaves, strict=True)},
        tmp_path / "out/inputs.safetensors",
    )
    module = workload.module
    before = {n: v.clone() for n, v in module.state_dict().items()}
    with torch.no_grad():
        results = torch.utils._pytree.tree_leaves(module(*args, **kwargs))
    after = {n: v.clone() for n, v in module.state_dict().items()}
    module.load_state_dict(before)

    ran = subprocess.run([TOOL, tmp_path / "out"], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    got = load_file(tmp_path / "out/outputs.safetensors")
    distinct = list(dict.fromkeys(o["value"] for o in exported.graph["outputs"] if "value" in o))
    for output, want in zip(exported.graph["outputs"], results, strict=True):
        compare(got[str(distinct.index(output["value"]))], want, f"{name}: {output}")
    for mutation in exported.graph["mutations"]:
        compare(got["state:" + mutation["name"]], after[mutation["name"]], f"{name}: {mutation['name']}")
    changed = {n for n in after if not torch.equal(after[n], before[n])}
    assert changed == {m["name"] for m in exported.graph["mutations"]}
