# SPDX-License-Identifier: Apache-2.0
"""The twelve workloads of bench/spine.txt as graphs: the format, and that graph and regions compute what the module
computes. test_suite.py looks at the others."""

import json
from pathlib import Path

import pytest
import torch
from graph_schema import check_graph
from safetensors.torch import load_file

from kernelwright.errors import EnvironmentError_
from kernelwright.export import export, main, summary, write
from kernelwright.workload import load

ROOT = Path(__file__).parents[2]
WORKLOADS = [ROOT / line for line in (ROOT / "bench/spine.txt").read_text().split()]
_cache = {}


def exported_of(path):
    if path not in _cache:
        workload = load(path)
        _cache[path] = workload, export(workload)
    return _cache[path]


def everything(graph, nodes=None):
    return {
        "nodes": [n["name"] for n in graph["nodes"]],
        "inputs": graph["inputs"],
        "weights": [w["value"] for w in graph["weights"]],
        "outputs": [o["value"] for o in graph["outputs"] if "value" in o],
        "mutations": graph["mutations"],
    }


def run(exported, region, values):
    with torch.no_grad():
        return exported.region_module(region)(*(values[name] for name in [*region["inputs"], *region["weights"]]))


def references(argument):
    if isinstance(argument, dict):
        yield from [argument["value"]] if "value" in argument else []
    elif isinstance(argument, list):
        for item in argument:
            yield from references(item)


def region_of(graph, nodes):
    """What the coordinator would send for a group of nodes."""
    names = {node["name"] for node in nodes}
    made = {o for node in nodes for o in node["outputs"] if o}
    read = list(dict.fromkeys(v for node in nodes for a in node["args"].values() for v in references(a)))
    weights = {w["value"] for w in graph["weights"]}
    outside = {
        v for node in graph["nodes"] if node["name"] not in names for a in node["args"].values() for v in references(a)
    }
    outside |= {o.get("value") for o in graph["outputs"]}
    return {
        "id": "r0",
        "whole": False,
        "nodes": [node["name"] for node in nodes],
        "inputs": [v for v in read if v not in made and v not in weights],
        "weights": [v for v in read if v in weights],
        "outputs": sorted(made & outside),
        "mutations": [],
    }


def test_there_are_twelve():
    assert [sum(p.parent.name == kind for p in WORKLOADS) for kind in ("single", "fused", "model")] == [5, 5, 2]


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda p: p.stem)
def test_format(path):
    workload, exported = exported_of(path)
    assert exported.whole and not exported.parts
    check_graph(exported.graph)
    assert exported.graph["workload"] == workload.name == path.stem
    assert exported.graph["training"] is workload.module.training
    assert exported.graph["eager"] == []
    assert {w["name"] for w in exported.graph["weights"]} == set(exported.weights)


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda p: p.stem)
def test_the_graph_computes_what_the_module_computes(path):
    workload, exported = exported_of(path)
    args, kwargs = workload.make_inputs(11)
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(workload.build()(*args, **kwargs))
    values = exported.weight_tensors()
    values |= dict(zip(exported.graph["inputs"], exported.flatten_inputs(args, kwargs), strict=True))
    results = run(exported, everything(exported.graph), values)
    for got, want in zip(results, expected, strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("path", [p for p in WORKLOADS if p.parent.name != "single"], ids=lambda p: p.stem)
def test_two_halves_compute_what_the_whole_computes(path):
    workload, exported = exported_of(path)
    args, kwargs = workload.make_inputs(12)
    values = exported.values(workload.build(), args, kwargs)
    assert set(values) == set(exported.graph["values"])
    nodes = exported.graph["nodes"]
    for half in (nodes[: len(nodes) // 2], nodes[len(nodes) // 2 :]):
        region = region_of(exported.graph, half)
        # As a region is judged: on contiguous copies of what the whole gives it.
        given = {name: value.contiguous() for name, value in values.items()}
        for got, name in zip(run(exported, region, given), region["outputs"], strict=True):
            torch.testing.assert_close(got, values[name])


def test_files_on_disk(tmp_path):
    _, exported = exported_of(ROOT / "workloads/model/lenet.py")
    graph, weights = write(exported, tmp_path / "new" / "folder")
    assert json.loads(graph.read_text()) == exported.graph
    stored = load_file(weights)
    assert set(stored) == set(exported.weights)
    assert all(torch.equal(stored[name], tensor) for name, tensor in exported.weights.items())
    assert sorted(p.name for p in graph.parent.iterdir()) == ["graph.json", "weights.safetensors"]


def test_a_folder_that_cannot_be_written(tmp_path):
    _, exported = exported_of(ROOT / "workloads/model/lenet.py")
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentError_, match="cannot write to .*file"):
        write(exported, tmp_path / "file")


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    _, exported = exported_of(ROOT / "workloads/model/lenet.py")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(EnvironmentError_, match="No space left on device"):
        write(exported, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_command_line(tmp_path, capsys):
    assert main([str(ROOT / "workloads/single/softmax.py"), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == "softmax: 1 ops, 0 weights\n"
    assert (tmp_path / "out" / "graph.json").exists()
    assert main([str(tmp_path / "none.py"), "--out", str(tmp_path / "other")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kernelwright: no such file: ") and error.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_summary_is_one_line():
    assert "\n" not in summary(exported_of(ROOT / "workloads/model/lenet.py")[1])
