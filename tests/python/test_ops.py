# SPDX-License-Identifier: Apache-2.0
"""Every entry of the op table against PyTorch: random legal calls go through the interpreter.

KERNELWRIGHT_OP_DRAWS sets the draws per op (3 by default)."""

import json
import os
import pathlib
import random
import subprocess
import zlib

import op_cases
import pytest
import torch
from safetensors.torch import load_file, save_file

from kernelwright.aten import argument_json, bound_arguments
from kernelwright.input_spec import DTYPE_NAMES

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRAWS = int(os.environ.get("KERNELWRIGHT_OP_DRAWS", "3"))


def find_tool():
    named = os.environ.get("KERNELWRIGHT_BUILD")
    folders = [pathlib.Path(named)] if named else sorted(ROOT.glob("build/*"))
    tools = [f / "bin/kw_interpret" for f in folders if (f / "bin/kw_interpret").exists()]
    return max(tools, key=lambda t: t.stat().st_mtime) if tools else None


TOOL = find_tool()
pytestmark = pytest.mark.skipif(TOOL is None, reason="kw_interpret is not built")


def overload(name):
    namespace, packet, variant = name.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), variant)


def tensors_of(results):
    return [results] if isinstance(results, torch.Tensor) else list(results)


def write_call(op, args, kwargs, folder):
    """graph.json and inputs.safetensors of one call; returns what PyTorch gives."""
    expected = tensors_of(op(*args, **kwargs))
    tensors, fx = {}, torch.fx.Graph()

    def place(item):
        if not isinstance(item, torch.Tensor):
            return item
        name = f"x{len(tensors)}"
        tensors[name] = item.contiguous().clone()
        return fx.placeholder(name)

    leaves, spec = torch.utils._pytree.tree_flatten((list(args), dict(kwargs)))
    args, kwargs = torch.utils._pytree.tree_unflatten([place(leaf) for leaf in leaves], spec)
    node = fx.call_function(op, tuple(args), kwargs)
    kinds = {a.name: str(a.type) for a in op._schema.arguments}
    outputs = [f"y{i}" for i in range(len(expected))]
    values = {
        n: {"dtype": DTYPE_NAMES[t.dtype], "shape": list(t.shape)}
        for n, t in [*tensors.items(), *zip(outputs, expected, strict=True)]
    }
    graph = {
        "format": 1,
        "workload": "op",
        "class": "Op",
        "training": False,
        "torch": torch.__version__,
        "values": values,
        "inputs": list(tensors),
        "weights": [],
        "outputs": [{"value": n} for n in outputs],
        "mutations": [],
        "eager": [],
        "nodes": [
            {
                "name": "op",
                "op": str(op),
                "outputs": outputs,
                "module": "",
                "args": {k: argument_json(v, kinds[k], lambda n: n.name) for k, v in bound_arguments(node).items()},
            }
        ],
    }
    folder.mkdir()
    (folder / "graph.json").write_text(json.dumps(graph))
    save_file(tensors, folder / "inputs.safetensors")
    return expected


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """All draws of all ops through one run of the interpreter: {op: [(folder, expected)]}."""
    base, out = tmp_path_factory.mktemp("ops"), {}
    for name, draw in op_cases.CASES.items():
        for i in range(DRAWS):
            seed = zlib.crc32(name.encode()) + i
            torch.manual_seed(seed)
            args, kwargs = draw(random.Random(seed), i)
            folder = base / f"{name}-{i}"
            out.setdefault(name, []).append((folder, write_call(overload(name), args, kwargs, folder)))
    subprocess.run([TOOL, *[f for draws in out.values() for f, _ in draws]], check=False, capture_output=True)
    return out


def compare(got, expected, what):
    assert got.dtype == expected.dtype and got.shape == expected.shape, what
    if not expected.dtype.is_floating_point:
        assert torch.equal(got, expected), what
        return
    finite = expected[torch.isfinite(expected)]
    size = finite.abs().max().item() if finite.numel() else 1.0
    unit = torch.finfo(expected.dtype).eps
    torch.testing.assert_close(
        got, expected, rtol=64 * unit, atol=16 * unit * max(size, 1e-3), equal_nan=True, msg=lambda m: f"{what}: {m}"
    )


@pytest.mark.parametrize("name", op_cases.CASES)
def test_op(calls, name):
    for folder, expected in calls[name]:
        error = folder / "error.txt"
        assert not error.exists(), error.read_text() + " in " + (folder / "graph.json").read_text()
        got = load_file(folder / "outputs.safetensors")
        for i, tensor in enumerate(expected):
            compare(got[str(i)], tensor, f"{folder.name} output {i}: {(folder / 'graph.json').read_text()}")


def test_every_entry_has_a_case():
    names = set(subprocess.run([TOOL, "--ops"], check=True, capture_output=True, text=True).stdout.split())
    assert names - set(op_cases.CASES) == set(), "add the op to tests/python/op_cases.py"
    assert set(op_cases.CASES) - names == set()
