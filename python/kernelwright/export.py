# SPDX-License-Identifier: Apache-2.0
"""Writes a workload as a graph: graph.json and weights.safetensors (docs/graph-format.md)."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import torch

from kernelwright import policy as policies
from kernelwright.aten import NotExpressible
from kernelwright.errors import EnvironmentError_, KernelwrightError
from kernelwright.exported import changing_attributes
from kernelwright.parts import export_parts
from kernelwright.trace import export_module, weight_names
from kernelwright.workload import load

FORMAT = 1


def export(workload):
    """Exports a workload; never fails for what PyTorch cannot export, which `reason` and `eager` then name."""
    args, kwargs = workload.make_inputs(0)
    names = weight_names(workload.module)
    # Under autocast the graph has its casts: it computes what the module does, in the same types.
    with policies.context(workload.policy, workload.device.type, tracing=True):
        changing = changing_attributes(workload.build(), args, kwargs)
        try:
            if changing:
                raise NotExpressible(f"forward changes {changing[0]}, which is no buffer")
            exported = export_module(workload.module, args, kwargs, names)
        except NotExpressible as error:
            exported = export_parts(workload, args, kwargs, names, str(error), changing)
    if workload.device.type != "cpu":
        exported.move_constants(workload.device)
    exported.graph = {**_header(workload), **exported.graph}
    return exported


def _header(workload):
    return {
        "format": FORMAT,
        "workload": workload.name,
        "class": workload.class_name,
        "training": bool(workload.module.training),
        "torch": str(torch.__version__),
    }


def write(exported, out_dir):
    """Writes graph.json and weights.safetensors into `out_dir`, each whole or not at all."""
    from safetensors.torch import save

    out = Path(out_dir)
    graph, weights = out / "graph.json", out / "weights.safetensors"
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_file(weights, save({k: v.detach().cpu().contiguous().clone() for k, v in exported.weights.items()}))
        _write_file(graph, json.dumps(exported.graph, allow_nan=False).encode())
    except OSError as error:
        raise EnvironmentError_(f"cannot write to {out}: {error.strerror or error}") from error
    return graph, weights


def _write_file(path, data):
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def summary(exported):
    """One line on what was exported."""
    graph = exported.graph
    text = f"{graph['workload']}: {len(graph['nodes'])} ops, {len(graph['weights'])} weights"
    if not exported.whole:
        paths = ", ".join(path for path, _ in exported.parts) or "nothing"
        text += f"; in parts ({paths}) because {exported.reason}"
    notes = [note["what"] for note in graph["eager"] if note["reason"].startswith("random")]
    return text + (f"; random: {', '.join(notes)}" if notes else "")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m kernelwright.export", description=__doc__)
    parser.add_argument("file", help="file.py, file.py:Class, package.module:Class or file.pt2")
    parser.add_argument("--out", required=True, help="folder for graph.json and weights.safetensors")
    parser.add_argument("--init", default="", help='JSON: a list or {"args": [...], "kwargs": {...}}')
    parser.add_argument("--inputs", default="", help="f32[8,3,224,224],i64[4,16]<1000 or a .pt file")
    parser.add_argument("--size", default="cpu")
    options = parser.parse_args(argv)
    try:
        exported = export(load(options.file, options.init, options.inputs, options.size))
        write(exported, options.out)
    except KernelwrightError as error:
        print(f"kernelwright: {error}", file=sys.stderr)
        return 2
    print(summary(exported))
    return 0


if __name__ == "__main__":
    sys.exit(main())
