# SPDX-License-Identifier: Apache-2.0
"""Hand-made artifacts: a workload, exported for real, with kernels that g++ builds here."""

import json
import shutil
import subprocess
from pathlib import Path


from kernelwright import call_spec, export, native, workload
from kernelwright.glue import references

ROOT = Path(__file__).resolve().parents[2]
KERNELS = """
#include <kernelwright/kernel_abi.h>
#define IN(i) ((const float*)a->buffers[i])
#define OUT(i) ((float*)a->buffers[i])
extern "C" void relu(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) OUT(1)[i] = IN(0)[i] > 0 ? IN(0)[i] : 0;
}
extern "C" void copy(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) OUT(1)[i] = IN(0)[i];
}
extern "C" void relu_times(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) OUT(2)[i] = (IN(0)[i] > 0 ? IN(0)[i] : 0) * IN(1)[i % a->values[0].i64];
}
extern "C" void step(const kw_args* a, int64_t begin, int64_t end) {  // y = x + s; s += 1
  for (int64_t i = begin; i < end; ++i) OUT(2)[i] = IN(0)[i] + (1 + OUT(1)[0]);
  OUT(1)[0] += 1;
}
"""

RELU = {"kernel": "relu", "args": ["x0", {"out": "y0"}]}


def build_object(folder):
    (folder / "k.cpp").write_text(KERNELS)
    subprocess.run(
        ["g++", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", folder / "object.so", folder / "k.cpp"],
        check=True,
    )
    return folder / "object.so"


def region_of(graph, nodes, name="r0"):
    """The region of the named nodes, with everything that crosses its border."""
    inside = [n for n in graph["nodes"] if n["name"] in nodes]
    made = [v for n in inside for v in n["outputs"] if v]
    reads = list(dict.fromkeys(v for n in inside for v in references(n["args"]) if v not in made))
    weights = [w["value"] for w in graph["weights"]]
    outside = {v for n in graph["nodes"] if n["name"] not in nodes for v in references(n["args"])}
    outside |= {o["value"] for o in graph["outputs"] if "value" in o}
    mutations = [m for m in graph["mutations"] if m["value"] in made]
    return {
        "id": name,
        "whole": len(inside) == len(graph["nodes"]),
        "nodes": list(nodes),
        "inputs": [v for v in reads if v not in weights],
        "weights": [v for v in reads if v in weights],
        "outputs": [v for v in made if v in outside],
        "mutations": mutations,
    }


def program_of(graph, region, steps, extra=None, prepare=()):
    """program.json: buffers x0.., w0.., y0.., s0.. of the region; `steps` run over all points of the first output."""
    names = {w["value"]: w["name"] for w in graph["weights"]}
    buffers = {}

    def add(prefix, number, value, **fields):
        buffers[f"{prefix}{number}"] = {**fields, "dtype": "f32", "shape": graph["values"][value]["shape"]}

    for i, value in enumerate(region["inputs"]):
        add("x", i, value, role="input", index=i)
    states = {m["name"] for m in region["mutations"]}
    for i, value in enumerate(v for v in region["weights"] if names[v] not in states):
        add("w", i, value, role="weight", name=names[value])
    for i, value in enumerate(region["outputs"]):
        add("y", i, value, role="output", index=i)
    for i, mutation in enumerate(region["mutations"]):
        add("s", i, mutation["value"], role="state", name=mutation["name"])
    buffers |= extra or {}
    count = 1
    for extent in graph["values"][region["outputs"][0]]["shape"]:
        count *= extent
    run = [{"grid": [count], **step} for step in steps]
    return {
        "format": 1,
        "target": "cpu",
        "source": "k.cpp",
        "buffers": buffers,
        "prepare": list(prepare or ()),
        "run": run,
    }


def make(folder, source, choose, shared_object, **result):
    """An artifact of `source` in `folder`. choose(graph) -> [(node names, steps, extra buffers, prepare steps)]."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "original.py").write_text(source)
    return make_of(folder, "original.py", choose, shared_object, **result)


def make_of(folder, original, choose, shared_object, **result):
    """The same of a workload file that lies in `folder` already."""
    loaded = workload.load(str(folder / original))
    exported = export.export(loaded)
    call_spec.add_to(exported)
    export.write(exported, folder)
    call_spec.write_constants(exported, folder, loaded.module)
    (folder / "weights.safetensors").unlink()  # an artifact carries none
    graph, regions = exported.graph, []
    for number, (nodes, steps, *rest) in enumerate(choose(graph)):
        region = region_of(graph, nodes, f"r{number}")
        place = folder / "programs" / region["id"]
        place.mkdir(parents=True)
        (place / "program.json").write_text(json.dumps(program_of(graph, region, steps, *rest)))
        shutil.copy(shared_object, place / "object.so")
        regions.append({**region, "accepted": True, "program": f"programs/{region['id']}"})
    spec = {"path": original, "init": "", "inputs": "", "size": "cpu", "policy": "strict", "target": "cpu"}
    text = {
        "format": 1,
        "abi": native.ABI,
        "cpu_features": native.cpu_features(),
        "policy": "strict",
        "regions": regions,
        "spec": spec,
    }
    (folder / "result.json").write_text(json.dumps({**text, **result}))
    (folder / "optimized.py").write_text(
        "from kernelwright.dropin import load_artifact\n\nModelNew = load_artifact(__file__)\n"
    )
    return folder


def nodes_named(graph, *ops):
    return [n["name"] for n in graph["nodes"] if n["op"].split(".")[1] in ops]
