# SPDX-License-Identifier: Apache-2.0
"""A module that does not export as a whole: its largest submodules that do."""

from kernelwright.aten import NotExpressible
from kernelwright.errors import one_line
from kernelwright.exported import Exported, capture_inputs
from kernelwright.trace import export_module


def export_parts(workload, args, kwargs, names, reason, changing=()):
    """Exports submodules on the inputs that one call of the whole gives them. The graph is the union of theirs.
    `changing`: paths of attributes that calls change; a submodule that holds one is taken apart as well."""
    exported = Exported(whole=False, reason=reason)
    root = workload.module
    notes = [{"what": workload.class_name or "module", "reason": reason}]
    paths = [path for path, _ in root.named_modules() if path]
    seen = capture_inputs(workload.build(), paths, args, kwargs)
    shared = {}  # weight name -> value name

    def visit(path, module):
        if path in seen and not any(name.startswith(path + ".") for name in changing):
            part = None
            try:
                part = export_module(module, *seen[path], names, f"m{len(exported.parts)}_", shared)
            except NotExpressible as error:
                if not any(True for _ in module.children()):
                    notes.append({"what": path, "reason": one_line(str(error))})
            if part is not None:
                if _worthwhile(part):
                    part.module_path = path
                    exported.parts.append((path, part))
                    for weight in part.graph["weights"]:
                        shared.setdefault(weight["name"], weight["value"])
                return
        for name, child in module.named_children():
            visit(f"{path}.{name}" if path else name, child)

    for name, child in root.named_children():
        visit(name, child)
    exported.graph = _union(exported.parts, notes)
    for _, part in exported.parts:
        exported.weights |= part.weights
    return exported


def _worthwhile(part):
    """A part whose ops are all random, or that has none, has nothing to optimize."""
    return len(part.graph["nodes"]) > len(part.graph["eager"]) and part.graph["inputs"]


def _union(parts, notes):
    graph = {
        "values": {},
        "inputs": [],
        "weights": [],
        "nodes": [],
        "outputs": [],
        "mutations": [],
        "eager": list(notes),
        "parts": [],
    }
    weights = set()
    for index, (path, part) in enumerate(parts):
        for node in part.graph["nodes"]:
            node["part"] = index
            node["module"] = ".".join(p for p in (path, node["module"]) if p)
        graph["values"] |= part.graph["values"]
        graph["weights"] += [w for w in part.graph["weights"] if w["name"] not in weights]
        weights |= {w["name"] for w in part.graph["weights"]}
        for key in ("inputs", "nodes", "eager"):
            graph[key] += part.graph[key]
        changed = {mutation["name"] for mutation in graph["mutations"]}
        graph["mutations"] += [m for m in part.graph["mutations"] if m["name"] not in changed]
        graph["outputs"] += [output for output in part.graph["outputs"] if "value" in output]
        graph["parts"].append(
            {
                "module_path": path,
                "inputs": part.graph["inputs"],
                "outputs": part.graph["outputs"],
                "mutations": part.graph["mutations"],
                "training": part.training,
            }
        )
    return graph
