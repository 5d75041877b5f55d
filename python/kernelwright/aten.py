# SPDX-License-Identifier: Apache-2.0
"""What the exporter knows of ATen: which ops stay whole, and how a call reads in graph.json."""

import functools
import math

import torch

from kernelwright.input_spec import DTYPE_NAMES

aten = torch.ops.aten

# Left whole: taken apart they lose meaning (a norm becomes a dozen pointwise ops and reductions), or
# one op with one result becomes several. Everything else is decomposed to core ATen, losses among it.
KEEP = """
linear.default bilinear.default einsum.default
layer_norm.default group_norm.default rms_norm.default instance_norm.default
softmax.int log_softmax.int logsumexp.default
scaled_dot_product_attention.default
lstm.input gru.input rnn_tanh.input rnn_relu.input
avg_pool1d.default max_pool1d.default max_pool2d.default max_pool3d.default
adaptive_avg_pool1d.default adaptive_avg_pool2d.default adaptive_avg_pool3d.default
silu.default mish.default hardswish.default hardsigmoid.default softplus.default selu.default celu.default
log_sigmoid.default prelu.default pixel_shuffle.default
""".split()


def find(name):
    packet, _, overload = name.partition(".")
    return getattr(getattr(aten, packet, None), overload, None)


@functools.cache
def _tables():
    """(table without the keep-list, the entry of instance_norm). Building one takes a third of a second."""
    table = dict(torch.export.default_decompositions().materialize())
    instance_norm = table.get(aten.instance_norm.default)
    for name in KEEP:
        table.pop(find(name), None)
    return table, instance_norm


def decompositions(graph):
    """The decomposition table for an exported graph."""
    table, instance_norm = _tables()
    table = dict(table)
    # An instance norm that updates running statistics is only right taken apart.
    if any(n.target is aten.instance_norm.default and n.args[3] is not None and n.args[5] for n in graph.nodes):
        table[aten.instance_norm.default] = instance_norm
    return table


def is_random(node):
    """Whether two calls of an fx node on the same operands may differ."""
    op = node.target
    if not isinstance(op, torch._ops.OpOverload):
        return False
    arguments = bound_arguments(node)
    if op is aten.native_dropout.default:
        return bool(arguments["train"]) and arguments["p"] > 0
    if "dropout_p" in arguments:
        return arguments["dropout_p"] > 0
    if "dropout" in arguments and "train" in arguments:
        return bool(arguments["train"]) and arguments["dropout"] > 0
    return torch.Tag.nondeterministic_seeded in op.tags


def bound_arguments(node):
    """Arguments of a call by the schema's names, defaults filled in."""
    schema, bound = node.target._schema, {}
    positional = list(node.args)
    for index, argument in enumerate(schema.arguments):
        if index < len(positional) and not argument.kwarg_only:
            bound[argument.name] = positional[index]
        elif argument.name in node.kwargs:
            bound[argument.name] = node.kwargs[argument.name]
        else:
            bound[argument.name] = argument.default_value if argument.has_default_value() else None
    return bound


def is_view(node):
    return node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload) and node.target.is_view


class NotExpressible(Exception):
    """What stands in the way of a graph with static shapes; one line."""


def argument_json(value, kind, name_of):
    """One argument for graph.json. `kind` is the schema's type as text, `name_of` gives a node's value name."""
    if isinstance(value, torch.fx.Node):
        return {"value": name_of(value)}
    if isinstance(value, (list, tuple)):
        return [argument_json(item, kind, name_of) for item in value]
    if isinstance(value, torch.dtype):
        if value not in DTYPE_NAMES:
            raise NotExpressible(f"{str(value).removeprefix('torch.')} tensors are outside the graph format")
        return {"dtype": DTYPE_NAMES[value]}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        raise NotExpressible("a size depends on data")
    if isinstance(value, int):
        return float(value) if "float" in kind else value
    if isinstance(value, float):
        if math.isnan(value):
            return {"float": "nan"}
        if math.isinf(value):
            return {"float": "inf" if value > 0 else "-inf"}
        return value
    if isinstance(value, torch.device):
        return value.type  # another machine counts its devices differently
    if isinstance(value, (torch.layout, torch.memory_format, torch.Generator)):
        return str(value).removeprefix("torch.")
    raise NotExpressible(f"an argument of type {type(value).__name__} is outside the graph format")
