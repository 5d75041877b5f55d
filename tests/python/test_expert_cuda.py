# SPDX-License-Identifier: Apache-2.0
"""What the expert writes for cuda compiles for every generation of GPU (NVRTC; no GPU needed)."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "expert_cuda.py"
SPEC = importlib.util.spec_from_file_location("expert_cuda", SCRIPT)
expert_cuda = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(expert_cuda)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """All programs of all cases in one text, kernels renamed apart; and the kernels by what they ask for."""
    tool = expert_cuda.find_tool()
    base, text, clusters = tmp_path_factory.mktemp("programs"), "", ""
    for name, entry in expert_cuda.cases(small=True).items():
        for folder in expert_cuda.propose(tool, name, entry, base / name, 1)[0]:
            one = renamed(folder, name)
            if "cluster" in json.loads((folder / "program.json").read_text()).get("requires", []):
                clusters += one
            else:
                text += one
    return text, clusters


def renamed(folder, name):
    one = (folder / "kernels.cu").read_text()
    return re.sub(r"\bk(\d+)_", f"{name}_{folder.name}_\\1_", one)


def kernels_of(text):
    return set(re.findall(r"__launch_bounds__\(\d+, \d+\)\s+(\w+)\(", text))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100"])
def test_every_program_compiles(source, arch):
    lib = expert_cuda.nvrtc()
    text, clusters = source
    assert "kw_cluster_sync" in clusters
    assert "kw_group_barrier" in text
    if arch != "sm_80":
        text += clusters
    kernels = kernels_of(text)
    assert len(kernels) > 60
    cubin = expert_cuda.compile_source(lib, text, arch)
    for kernel in kernels:
        assert f".text.{kernel}".encode() in cubin, kernel


@pytest.mark.parametrize("name", ["matmul", "linear_gelu", "conv_large"])
def test_products_of_pieces_compile_for_hopper(name, tmp_path):
    tool, lib = expert_cuda.find_tool(), expert_cuda.nvrtc()
    folders = expert_cuda.propose(tool, name, expert_cuda.cases(small=False)[name], tmp_path / name, 8)[0]
    split = [f for f in folders if (f / "idea.txt").read_text().startswith("split ")]
    assert len(split) >= 4
    text = "".join(renamed(folder, name) for folder in split)
    cubin = expert_cuda.compile_source(lib, text, "sm_90a")
    for kernel in kernels_of(text):
        assert f".text.{kernel}".encode() in cubin, kernel
