# SPDX-License-Identifier: Apache-2.0
"""A strict reader of docs/graph-format.md for tests: fails on anything that the page does not allow."""

import json

import torch

DTYPES = {"f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "u32", "bool"}
FIELDS = {
    "format",
    "workload",
    "class",
    "training",
    "torch",
    "values",
    "inputs",
    "weights",
    "nodes",
    "outputs",
    "mutations",
    "eager",
}


def keys(item, required, optional=()):
    assert isinstance(item, dict)
    assert set(required) <= set(item) <= set(required) | set(optional), sorted(item)


def check_graph(graph):
    graph = json.loads(json.dumps(graph, allow_nan=False))
    keys(graph, FIELDS, {"parts", "call"})
    assert graph["format"] == 1 and isinstance(graph["training"], bool)
    assert all(isinstance(graph[key], str) for key in ("workload", "class", "torch"))
    values, made = graph["values"], set()
    for name, value in values.items():
        assert name.isidentifier()
        keys(value, {"dtype", "shape"}, {"strides"})
        assert value["dtype"] in DTYPES
        assert all(type(size) is int and size >= 0 for size in value["shape"]) and len(value["shape"]) <= 8
        if "strides" in value:
            assert name in graph["inputs"] and len(value["strides"]) == len(value["shape"])

    def make(name):
        assert name in values and name not in made, name
        made.add(name)

    for name in graph["inputs"]:
        make(name)
    for weight in graph["weights"]:
        keys(weight, {"value", "name", "kind"})
        assert weight["kind"] in {"parameter", "buffer", "constant"}
        make(weight["value"])
    weight_names = [weight["name"] for weight in graph["weights"]]
    assert len(set(weight_names)) == len(weight_names)
    names = [node["name"] for node in graph["nodes"]]
    assert len(set(names)) == len(names)
    for node in graph["nodes"]:
        check_node(node, made, make, len(graph.get("parts", [])))
    assert made == set(values), "a value that nothing makes"
    for output in graph["outputs"]:
        check_output(output, made)
    for mutation in graph["mutations"]:
        keys(mutation, {"name", "value"})
        assert mutation["name"] in weight_names and mutation["value"] in made
    for note in graph["eager"]:
        keys(note, {"what", "reason"})
        assert "\n" not in note["reason"] and note["reason"]
    for part in graph.get("parts", []):
        keys(part, {"module_path", "inputs", "outputs", "mutations", "training"}, {"call"})
        assert part["module_path"] and set(part["inputs"]) <= made
        for output in part["outputs"]:
            check_output(output, made)


def check_output(output, made):
    assert set(output) in ({"value"}, {"const"})
    assert "const" in output or output["value"] in made


def check_node(node, made, make, parts):
    keys(node, {"name", "op", "args", "outputs", "module"}, {"part"})
    assert ("part" in node) == bool(parts) and (not parts or 0 <= node["part"] < parts)
    library, packet, overload = node["op"].split(".")
    schema = getattr(getattr(getattr(torch.ops, library), packet), overload)._schema
    assert set(node["args"]) == {argument.name for argument in schema.arguments}
    for argument in schema.arguments:
        check_argument(node["args"][argument.name], str(argument.type), made)
    for name in node["outputs"]:
        assert name is None or make(name) is None
    assert any(node["outputs"])


def check_argument(value, kind, made):
    if isinstance(value, list):
        for item in value:
            check_argument(item, kind, made)
    elif isinstance(value, dict):
        ((key, item),) = value.items()
        assert key in {"value", "dtype", "float"}
        if key == "value":
            assert item in made, f"{item} is read before it is made"
        elif key == "dtype":
            assert item in DTYPES
        else:
            assert item in {"inf", "-inf", "nan"}
    else:
        assert value is None or isinstance(value, (bool, int, float, str))
        if kind in ("float", "Optional[float]") and value is not None:
            assert isinstance(value, float)
