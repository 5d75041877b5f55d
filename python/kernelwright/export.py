# SPDX-License-Identifier: Apache-2.0
"""Writes a workload as a graph: graph.json and weights.safetensors (docs/graph-format.md)."""

import argparse
import json
import operator
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from torch.utils import _pytree as pytree

from kernelwright.aten import NotExpressible, argument_json, aten, bound_arguments, decompositions, is_random, is_view
from kernelwright.errors import EnvironmentError_, InputError, KernelwrightError, one_line
from kernelwright.functional import functionalize, lookup
from kernelwright.input_spec import DTYPE_NAMES
from kernelwright.workload import load

FORMAT = 1


class Exported:
    """A module as a graph.

    graph: what graph.json holds. weights: tensors by weight name. whole: one graph stands for the whole module;
    otherwise `parts` holds (module path, Exported) of the submodules that could be exported, `graph` is their
    union, and `reason` says in one line what stood in the way.
    """

    def __init__(self, whole, reason=""):
        self.whole = whole
        self.reason = reason
        self.parts = []
        self.graph = {}
        self.weights = {}
        self.fx = None  # GraphModule: weights then inputs in, results then mutated buffers out
        self.in_spec = None  # of (args, kwargs), kwargs by name
        self.out_spec = None
        self.input_leaves = []  # where the graph's inputs stand among the flattened (args, kwargs)
        self.baked = {}  # flattened position -> the constant that the graph presumes there
        self.output_aliases = []  # per result: None, or what it shares memory with (see _alias_of)
        self.module_path = ""
        self._functional = None
        self._value_nodes = {}  # value name -> fx node that makes it

    def flatten_inputs(self, args, kwargs):
        """The graph's input tensors out of a call; None when the call does not fit the graph."""
        leaves, spec = pytree.tree_flatten((tuple(args), dict(sorted(kwargs.items()))))
        if spec != self.in_spec:
            return None
        if any(type(leaves[i]) is not type(v) or leaves[i] != v for i, v in self.baked.items()):
            return None
        return [leaves[i] for i in self.input_leaves]

    def weight_value_names(self):
        """{value name: weight name}"""
        return {w["value"]: w["name"] for w in self.graph["weights"]}

    def region_module(self, region):
        """GraphModule of a region: call(*inputs, *weights) -> (*outputs, *what mutated buffers hold).

        region: {"nodes", "inputs", "weights", "outputs", "mutations"} with names of the graph.
        """
        outputs = [*region["outputs"], *(_mutation_value(m) for m in region.get("mutations", []))]
        owner = self._owner([*region["nodes"], *outputs])
        if owner is not self:
            return owner.region_module(region)
        graph, environment = torch.fx.Graph(), {}
        for name in [*region["inputs"], *region["weights"]]:
            environment[self._value_nodes[name]] = graph.placeholder(name)
        wanted = set(region["nodes"])
        for node in self.fx.graph.nodes:
            if node.op != "call_function" or node in environment:
                continue
            if node.target is operator.getitem:
                if node.args[0] in environment:
                    environment[node] = graph.node_copy(node, lambda n: environment[n])
            elif node.name in wanted:
                environment[node] = graph.node_copy(node, lambda n: environment[n])
        graph.output(tuple(environment[self._value_nodes[name]] for name in outputs))
        graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output"))
        return torch.fx.GraphModule(torch.nn.Module(), graph, "Region")

    def _owner(self, names):
        for _, part in self.parts:
            if any(name in part._value_nodes or name in part._node_names() for name in names):
                return part
        return self

    def _node_names(self):
        return {node["name"] for node in self.graph["nodes"]}

    def weight_tensors(self, module=None):
        """Weight tensors by value name, from `module` (constants from the graph) or as exported."""
        tensors = {}
        for entry in self.graph["weights"]:
            if module is None or entry["kind"] == "constant":
                tensors[entry["value"]] = self.weights[entry["name"]]
            else:
                tensors[entry["value"]] = lookup(module, entry["name"]).detach()
        return tensors

    def values(self, module, args, kwargs):
        """Every value of the graph in one call, by name. Runs `module` itself in the partial form, to see what its
        parts are given; a part that is not called leaves no values."""
        if self.whole:
            return self._values(self.weight_tensors(module), self.flatten_inputs(args, kwargs))
        seen = capture_inputs(module, [path for path, _ in self.parts], args, kwargs)
        values = {}
        for path, part in self.parts:
            if path in seen:
                inputs = part.flatten_inputs(*seen[path])
                if inputs is not None:
                    values |= part._values(part.weight_tensors(module), inputs)
        return values

    def _values(self, weights, inputs):
        if inputs is None:
            raise InputError("the call does not fit the exported graph")
        recorder = _Recorder(self.fx)
        given = {**weights, **dict(zip(self.graph["inputs"], inputs, strict=True))}
        recorder.run(*(given[n.name] for n in self.fx.graph.nodes if n.op == "placeholder"))
        return {name: recorder.seen[node] for name, node in self._value_nodes.items()}


class _Recorder(torch.fx.Interpreter):
    def __init__(self, module):
        super().__init__(module, garbage_collect_values=False)
        self.seen = {}

    def run_node(self, node):
        self.seen[node] = super().run_node(node)
        return self.seen[node]


def _mutation_value(mutation):
    return mutation["value"] if isinstance(mutation, dict) else mutation


def export(workload):
    """Exports a workload; never fails for what PyTorch cannot export, which `reason` and `eager` then name."""
    args, kwargs = workload.make_inputs(0)
    names = _weight_names(workload.module)
    try:
        exported = export_module(workload.module, args, kwargs, names)
        exported.graph = {**_header(workload), **exported.graph}
        return exported
    except NotExpressible as error:
        from kernelwright.parts import export_parts

        exported = export_parts(workload, args, kwargs, names, str(error))
        exported.graph = {**_header(workload), **exported.graph}
        return exported


def _header(workload):
    return {"format": FORMAT, "workload": workload.name, "class": workload.class_name,
            "training": bool(workload.module.training), "torch": str(torch.__version__)}


def _weight_names(module):
    names = {}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        names.setdefault(id(tensor), name)
    return names


def export_module(module, args, kwargs, names, prefix="", shared=None):
    """Exports one module on example inputs or raises NotExpressible. `names`: id of a tensor -> its name in the
    workload's module. `prefix` makes value names unique among parts; `shared` holds the value names of weights that
    earlier parts read."""
    args, kwargs = _own_copies(args), dict(sorted(_own_copies(kwargs).items()))
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, args, kwargs, strict=False)
            in_spec, out_spec = program.call_spec.in_spec, program.call_spec.out_spec
            program = program.run_decompositions(decompositions(program.graph))
            functional = functionalize(program, lambda tensor: names.get(id(tensor)), module)
    except NotExpressible:
        raise
    except Exception as error:
        raise NotExpressible(_reason(error)) from error
    exported = Exported(whole=True)
    exported._functional = functional
    exported.in_spec, exported.out_spec = in_spec, out_spec
    exported.input_leaves, exported.baked = functional.input_leaves, functional.baked
    _rename(functional, prefix, shared or {})
    exported.fx = torch.fx.GraphModule(torch.nn.Module(), functional.graph, type(module).__name__)
    exported.fx.training = False
    exported.output_aliases = [_alias_of(functional, i) for i in range(len(functional.outputs))]
    exported.graph = _graph_json(exported)
    exported.weights = {name: tensor for name, _, tensor in functional.weights.values()}
    return exported


def _own_copies(tree):
    """Tensors cloned one by one: torch.export takes two arguments that are one tensor for one argument."""
    return pytree.tree_map(lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else v, tree)


def _reason(error):
    name = type(error).__name__
    if name.startswith("GuardOnDataDependent") or "data-dependent" in str(error):
        text = str(error)
        place = text.partition("Caused by:")[2].strip().splitlines()
        return one_line("control flow depends on data" + (f" {place[0]}" if place else ""), 160)
    return one_line(f"torch.export: {name}: {error}", 160)


def _rename(functional, prefix, shared):
    for node, (name, _, _) in functional.weights.items():
        if name in shared:
            node.name = shared[name]
        elif prefix:
            node.name = prefix + node.name
    if prefix:
        for node in functional.graph.nodes:
            if node not in functional.weights and node.op != "output":
                node.name = prefix + node.name
    for node in functional.graph.nodes:
        if node.op == "placeholder":
            node.target = node.name


def _alias_of(functional, index):
    """What result `index` shares memory with: {"input": i}, {"weight": name} or {"output": i} (an earlier
    result), with "same" true when it is that very tensor; None for memory of its own."""
    node = functional.outputs[index]
    if not isinstance(node, torch.fx.Node):
        return None
    base = _base(node)
    if base in functional.inputs:
        return {"input": functional.inputs.index(base), "same": node is base}
    if base in functional.weights:
        return {"weight": functional.weights[base][0], "same": node is base}
    for earlier in range(index):
        other = functional.outputs[earlier]
        if isinstance(other, torch.fx.Node) and _base(other) is base:
            return {"output": earlier, "same": node is other}
    return None


def _base(node):
    """The node whose memory a value is a view of. Our reshape is ATen's view."""
    while node.op == "call_function":
        if node.target is operator.getitem:
            if not is_view(node.args[0]):
                return node
            node = node.args[0].args[0]
        elif is_view(node) or node.target is aten.reshape.default:
            node = node.args[0]
        else:
            return node
    return node


def _graph_json(exported):
    functional = exported._functional
    values, nodes, eager = {}, [], []

    def add_value(node, tensor, strides=False):
        entry = {"dtype": DTYPE_NAMES[tensor.dtype], "shape": list(tensor.shape)}
        if strides and not tensor.is_contiguous():
            entry["strides"] = list(tensor.stride())
        values[node.name] = entry
        exported._value_nodes[node.name] = node

    weights = []
    for node in functional.graph.nodes:
        if node.op == "placeholder":
            add_value(node, node.meta["val"], strides=node in functional.inputs)
            if node in functional.weights:
                name, kind, _ = functional.weights[node]
                weights.append({"value": node.name, "name": name, "kind": kind})
        elif node.op == "call_function" and node.target is not operator.getitem:
            nodes.append(_node_json(node, add_value))
            if is_random(node):
                eager.append({"what": str(node.target), "reason": f"random ({nodes[-1]['module'] or 'forward'})"})
    return {
        "values": values,
        "inputs": [node.name for node in functional.inputs],
        "weights": weights,
        "nodes": nodes,
        "outputs": [_output_json(value) for value in functional.outputs],
        "mutations": [{"name": name, "value": node.name} for name, node in functional.mutations],
        "eager": eager,
    }


def _node_json(node, add_value):
    op = str(node.target)
    arguments = bound_arguments(node)
    kinds = {a.name: str(a.type) for a in node.target._schema.arguments}
    if node.target is aten.reshape.default:  # see functional.py
        op, arguments = "aten.view.default", {"self": arguments["self"], "size": arguments["shape"]}
        kinds["size"] = kinds["shape"]
    val = node.meta.get("val")
    if isinstance(val, (list, tuple)):
        taken = {user.args[1]: user for user in reversed(node.users) if user.target is operator.getitem}
        outputs = [taken[i].name if i in taken and isinstance(val[i], torch.Tensor) else None for i in range(len(val))]
        for i, user in taken.items():
            if outputs[i] is not None:
                add_value(user, val[i])
    else:
        outputs = [node.name]
        add_value(node, val)
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return {"name": node.name, "op": op,
            "args": {k: argument_json(v, kinds[k], lambda n: n.name) for k, v in arguments.items()},
            "outputs": outputs, "module": _module_path(stack)}


def _module_path(stack):
    path = stack[-1][0] if stack else ""
    return path.removeprefix("L['self']").lstrip(".").replace("slice(None, None, None)", "")


def _output_json(value):
    if isinstance(value, torch.fx.Node):
        return {"value": value.name}
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        value = str(value)
    return {"const": value}


def capture_inputs(module, paths, args, kwargs):
    """{path: (args, kwargs)} of the first call of each submodule during one call of `module`."""
    seen, handles = {}, []

    def hook(path):
        def remember(_, args, kwargs):
            if path not in seen:
                seen[path] = (_own_copies(args), _own_copies(kwargs))
        return remember

    for path in paths:
        target = lookup(module, path) if path else module
        handles.append(target.register_forward_pre_hook(hook(path), with_kwargs=True))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            module(*_own_copies(args), **_own_copies(kwargs))
    finally:
        for handle in handles:
            handle.remove()
    return seen


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
