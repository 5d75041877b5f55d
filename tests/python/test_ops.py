# SPDX-License-Identifier: Apache-2.0
"""Every entry of the op table against PyTorch: random legal calls go through the interpreter.

KERNELWRIGHT_OP_DRAWS sets the draws per op (50 by default)."""

import json
import os
import pathlib
import random
import subprocess
import zlib

import op_cases
import op_cases_indexed  # noqa: F401, adds its cases
import op_cases_losses  # noqa: F401
import pytest
import torch
from safetensors.torch import load_file, save_file

from kernelwright.aten import argument_json, bound_arguments
from kernelwright.input_spec import DTYPE_NAMES

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRAWS = int(os.environ.get("KERNELWRIGHT_OP_DRAWS", "50"))


def find_tool():
    named = os.environ.get("KERNELWRIGHT_BUILD")
    folders = [pathlib.Path(named)] if named else sorted(ROOT.glob("build/*"))
    tools = [f / "bin/kw_interpret" for f in folders if (f / "bin/kw_interpret").exists()]
    if not tools:
        raise FileNotFoundError("kw_interpret is not built: `make build` builds it")
    return max(tools, key=lambda t: t.stat().st_mtime)


TOOL = find_tool()


def overload(name):
    namespace, packet, variant = name.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), variant)


def tensors_of(results):
    return [results] if isinstance(results, torch.Tensor) else list(results)


def call_json(op, args, kwargs, name, tensors):
    """One node of graph.json and what PyTorch gives; adds the operands to `tensors`."""
    expected = tensors_of(op(*args, **kwargs))
    fx = torch.fx.Graph()

    def place(item):
        if not isinstance(item, torch.Tensor):
            return item
        operand = f"{name}_x{len(tensors)}"
        tensors[operand] = item.contiguous().clone()
        return fx.placeholder(operand)

    leaves, spec = torch.utils._pytree.tree_flatten((list(args), dict(kwargs)))
    args, kwargs = torch.utils._pytree.tree_unflatten([place(leaf) for leaf in leaves], spec)
    node = fx.call_function(op, tuple(args), kwargs)
    kinds = {a.name: str(a.type) for a in op._schema.arguments}
    described = {
        "name": name,
        "op": str(op),
        "outputs": [f"{name}_y{i}" for i in range(len(expected))],
        "module": "",
        "args": {k: argument_json(v, kinds[k], lambda n: n.name) for k, v in bound_arguments(node).items()},
    }
    return described, expected


def write_calls(op, calls, folder):
    """All calls of one op as one graph: graph.json and inputs.safetensors; what PyTorch gives, by output."""
    tensors, nodes, expected = {}, [], {}
    for i, (args, kwargs) in enumerate(calls):
        node, results = call_json(op, args, kwargs, f"draw{i}", tensors)
        nodes.append(node)
        expected |= dict(zip(node["outputs"], results, strict=True))
    graph = {
        "format": 1,
        "workload": "op",
        "class": "Op",
        "training": False,
        "torch": torch.__version__,
        "values": {
            n: {"dtype": DTYPE_NAMES[t.dtype], "shape": list(t.shape)} for n, t in [*tensors.items(), *expected.items()]
        },
        "inputs": list(tensors),
        "weights": [],
        "outputs": [{"value": name} for name in expected],
        "mutations": [],
        "eager": [],
        "nodes": nodes,
    }
    folder.mkdir()
    (folder / "graph.json").write_text(json.dumps(graph))
    save_file(tensors, folder / "inputs.safetensors")
    return expected


def draws_of(name, count):
    draw = op_cases.CASES[name]
    for i in range(count):
        seed = zlib.crc32(name.encode()) + i
        torch.manual_seed(seed)
        random.seed(seed)
        yield draw(random.Random(seed), i)


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """All draws of all ops through one run of the interpreter: {op: (folder, expected)}."""
    base = tmp_path_factory.mktemp("ops")
    out = {}
    for name in op_cases.CASES:
        folder = base / name
        out[name] = folder, write_calls(overload(name), draws_of(name, DRAWS), folder)
    subprocess.run([TOOL, *[folder for folder, _ in out.values()]], check=False, capture_output=True)
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
    folder, expected = calls[name]
    error = folder / "error.txt"
    assert not error.exists(), error.read_text() + " in " + str(folder)
    got = load_file(folder / "outputs.safetensors")
    nodes = json.loads((folder / "graph.json").read_text())["nodes"]
    for number, (output, tensor) in enumerate(expected.items()):
        draw = int(output.removeprefix("draw").partition("_")[0])
        seed = zlib.crc32(name.encode()) + draw
        compare(got[str(number)], tensor, f"seed {seed}, {output} of {json.dumps(nodes[draw]['args'])}")


SHARDS = 12


def compiled(calls, target, count, draws, names):
    """Failures of the compiled programs of the first draws of some ops."""
    tool = TOOL.with_name("kw_compiled_ops")
    if not tool.exists():
        pytest.fail("kw_compiled_ops is not built")
    folders = [calls[name][0] for name in names]
    run = subprocess.run([tool, target, str(count), str(draws), *folders], check=False, capture_output=True, text=True)
    return run.stdout if run.returncode else ""


@pytest.mark.parametrize("shard", range(3))
def test_naive_programs_compiled(calls, shard):
    failures = compiled(calls, "cpu", 0, 3, list(op_cases.CASES)[shard::3])
    assert not failures, failures


@pytest.mark.full
@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_draw_compiled(calls, shard):
    failures = compiled(calls, "cpu", 0, DRAWS, list(op_cases.CASES)[shard::SHARDS])
    assert not failures, failures


@pytest.mark.full
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_proposals_compiled(calls, target, shard):
    failures = compiled(calls, target, 1, 5, list(op_cases.CASES)[shard::SHARDS])
    assert not failures, failures


# An empty tensor may hold anything; the exporter writes into all of it.
WITHOUT_CASE = {"aten.empty.memory_format"}


def test_every_entry_has_a_case():
    names = set(subprocess.run([TOOL, "--ops"], check=True, capture_output=True, text=True).stdout.split())
    assert names - set(op_cases.CASES) == WITHOUT_CASE, "add the op to tests/python/op_cases.py"
    assert set(op_cases.CASES) - names == set()
