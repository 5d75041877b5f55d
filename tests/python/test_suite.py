# SPDX-License-Identifier: Apache-2.0
"""The suite under workloads/: how many there are, that each exports whole, which ops wait for an entry in the table, and
that the sizes for a GPU fit together."""

import subprocess
from pathlib import Path

import pytest
import torch
from command_line import binary

from kernelwright.export import export
from kernelwright.workload import load

ROOT = Path(__file__).parents[2]
WORKLOADS = sorted((ROOT / "workloads").glob("*/*.py"))
SPINE = (ROOT / "bench/spine.txt").read_text().split()
DRAWN = (ROOT / "bench/drawn.txt").read_text().split()


@pytest.fixture(scope="module")
def table():
    listed = subprocess.run([binary().parent / "kw_interpret", "--ops"], capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


def test_there_are_enough():
    count = {kind: sum(p.parent.name == kind for p in WORKLOADS) for kind in ("single", "fused", "model")}
    assert count["single"] >= 36 and count["fused"] >= 30 and count["model"] >= 12, count
    assert len({p.stem for p in WORKLOADS}) == len(WORKLOADS) == sum(count.values())


def test_the_spine_is_part_of_it():
    assert len(SPINE) == len(set(SPINE)) == 12
    assert {ROOT / path for path in SPINE} <= set(WORKLOADS)


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda p: p.stem)
def test_it_exports_whole(path, table):
    exported = export(load(path))
    assert exported.whole and exported.graph["eager"] == []
    assert {node["op"] for node in exported.graph["nodes"]} - table == set()


def test_every_kind_of_work_has_drawn_sizes():
    assert len(DRAWN) == len(set(DRAWN)) >= 12 and {ROOT / path for path in DRAWN} <= set(WORKLOADS)
    assert {p for p in WORKLOADS if "DRAWS = " in p.read_text()} == {ROOT / path for path in DRAWN}


@pytest.mark.parametrize("path", DRAWN, ids=lambda p: Path(p).stem)
def test_drawn_sizes_fit_together(path):
    for seed in range(12):
        names = load(ROOT / path, size=f"cpu:{seed}", check=False).module_globals
        with torch.device("meta"):
            inputs = names["get_inputs"]()
            result = names["Model"](*names["get_init_inputs"]())(*inputs)
        moved = sum(t.numel() * t.element_size() for t in [*inputs, result])
        assert 1 << 10 < moved < 1 << 28, (seed, moved)


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda p: p.stem)
def test_gpu_sizes_fit_together(path, monkeypatch):
    names = load(path).module_globals
    assert set(names["SIZES"]) == {"cpu", "gpu"} and names["__doc__"].count("\n") == 0
    for name, value in names["SIZES"]["gpu"].items():
        monkeypatch.setitem(names, name, value)
    with torch.device("meta"):  # shapes alone: no memory of that size
        inputs = names["get_inputs"]()
        result = names["Model"](*names["get_init_inputs"]())(*inputs)
    assert result.numel() > 0 and sum(t.numel() for t in inputs) >= 1 << 18
