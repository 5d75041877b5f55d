# SPDX-License-Identifier: Apache-2.0
"""One module through torch.export into a graph, or the reason why not."""

import contextlib
import io
import json
import logging
import operator
import traceback
import warnings
from pathlib import Path

import torch

from kernelwright.aten import NotExpressible, argument_json, aten, bound_arguments, decompositions, is_random
from kernelwright.errors import last_line, one_line
from kernelwright.exported import Exported, own_copies
from kernelwright.functional import base_of, functionalize
from kernelwright.input_spec import DTYPE_NAMES


def weight_names(module):
    names = {}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        names.setdefault(id(tensor), name)
    return names


def export_module(module, args, kwargs, names, prefix="", shared=None):
    """Exports one module on example inputs or raises NotExpressible. `names`: id of a tensor -> its name in the
    workload's module. `prefix` makes value names unique among parts; `shared` holds the value names of weights that
    earlier parts read."""
    args, kwargs = own_copies(args), dict(sorted(own_copies(kwargs).items()))
    try:
        with _quiet(), _restored(module), torch.no_grad():
            program = torch.export.export(module, args, kwargs, strict=False)
            in_spec, out_spec = program.call_spec.in_spec, program.call_spec.out_spec
            program = program.run_decompositions(decompositions(program.graph))
            functional = functionalize(program, lambda tensor: names.get(id(tensor)), module)
    except NotExpressible:
        raise
    except Exception as error:
        raise NotExpressible(_reason(error)) from error
    exported = Exported(whole=True)
    exported.training = bool(module.training)
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


@contextlib.contextmanager
def _restored(module):
    """Tracing leaves fake tensors in attributes that forward sets; this puts back what was there."""
    before = [(inner, dict(vars(inner))) for inner in module.modules()]
    try:
        yield
    finally:
        for inner, attributes in before:
            vars(inner).clear()
            vars(inner).update(attributes)


@contextlib.contextmanager
def _quiet():
    """torch.export reports a refusal at length; the reason is kept in one line."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error):
    if type(error).__name__.startswith("GuardOnDataDependent") or "data-dependent" in str(error):
        place = _user_place(error)
        return "control flow depends on data" + (f" ({place})" if place else "")
    return one_line(f"torch.export: {last_line(error)}", 160)


def _user_place(error):
    """`file.py:12` of the innermost frame outside PyTorch and this package."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*ours, "<")):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return None


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
    base = base_of(node)
    if base in functional.inputs:
        return {"input": functional.inputs.index(base), "same": node is base}
    if base in functional.weights:
        return {"weight": functional.weights[base][0], "same": node is base}
    for earlier in range(index):
        other = functional.outputs[earlier]
        if isinstance(other, torch.fx.Node) and base_of(other) is base:
            return {"output": earlier, "same": node is other}
    return None


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
    return {
        "name": node.name,
        "op": op,
        "args": {k: argument_json(v, kinds[k], lambda n: n.name) for k, v in arguments.items()},
        "outputs": outputs,
        "module": _module_path(stack),
    }


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
