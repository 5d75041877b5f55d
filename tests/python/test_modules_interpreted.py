# SPDX-License-Identifier: Apache-2.0
"""Small modules from file to interpreter: export, lowering and every op in between give what PyTorch gives, with the
buffers that forward changes."""

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
