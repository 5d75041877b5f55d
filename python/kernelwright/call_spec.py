# SPDX-License-Identifier: Apache-2.0
"""How a call of the user's module nests, as kept in graph.json under "call" (docs/artifact.md)."""

import math

from torch.utils import _pytree as pytree


def of(exported) -> dict:
    """The "call" object of an exported module or part."""
    return {
        "in_spec": _dumps(exported.in_spec),
        "out_spec": _dumps(exported.out_spec),
        "input_leaves": list(exported.input_leaves),
        "baked": [[position, _constant(value)] for position, value in sorted(exported.baked.items())],
        "aliases": list(exported.output_aliases),
    }


def add_to(exported) -> None:
    """Writes the nesting into the graph of an export, and into each part of a partial one."""
    if exported.whole:
        exported.graph["call"] = of(exported)
        return
    for entry, (_, part) in zip(exported.graph.get("parts", []), exported.parts, strict=True):
        entry["call"] = of(part)
        entry["mutations"] = list(part.graph["mutations"])
        entry["training"] = bool(getattr(part, "training", exported.graph.get("training", False)))


def write_constants(exported, folder, module=None) -> None:
    """constants.safetensors: the tensors of the graph that no state_dict holds."""
    kept = module.state_dict() if module is not None else {}
    names = [
        w["name"]
        for w in exported.graph["weights"]
        if w["kind"] == "constant" or (module is not None and w["name"] not in kept)
    ]
    if names:
        from safetensors.torch import save_file

        save_file(
            {n: exported.weights[n].detach().cpu().contiguous().clone() for n in names},
            str(folder / "constants.safetensors"),
        )


def _dumps(spec):
    """None where a container type has no name to be stored under."""
    try:
        return pytree.treespec_dumps(spec)
    except Exception:
        return None


def loads(text):
    return None if text is None else pytree.treespec_loads(text)


def _constant(value):
    """A non-tensor argument; what JSON cannot hold is compared by its type and text."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"repr": repr(value), "type": "float"}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"repr": repr(value), "type": type(value).__name__}


def equals(given, constant) -> bool:
    """Whether an argument of a call is the constant that the graph presumes."""
    if isinstance(constant, dict):
        return type(given).__name__ == constant["type"] and repr(given) == constant["repr"]
    return type(given) is type(constant) and given == constant
