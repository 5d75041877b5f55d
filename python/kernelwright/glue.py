# SPDX-License-Identifier: Apache-2.0
"""A graph as a flat list of steps: native programs for accepted regions, ATen calls for the rest."""

import operator

import torch

from kernelwright.channel import DTYPES
from kernelwright.errors import InputError

# ATen's view presumes strides that a native result or a copied input need not have.
_INSTEAD = {"aten.view.default": "aten.reshape.default"}
_VIEWS = frozenset(
    """aten.view.default aten.permute.default aten.transpose.int aten.slice.Tensor aten.select.int
    aten.unsqueeze.default aten.squeeze.dims aten.squeeze.dim aten.squeeze.default aten.expand.default aten.t.default
    aten.alias.default aten.detach.default aten.split_with_sizes.default aten.split.Tensor aten.unbind.int
    aten.diagonal.default aten.as_strided.default aten.reshape.default aten.chunk.default""".split()
)


def references(argument):
    """Value names in a node's arguments, in order."""
    if isinstance(argument, dict):
        if set(argument) == {"value"}:
            yield argument["value"]
        elif not set(argument) & {"dtype", "float"}:
            for item in argument.values():
                yield from references(item)
    elif isinstance(argument, list):
        for item in argument:
            yield from references(item)


class Plan:
    """Steps over a list of slots, one per value. `run(slots)` fills them; inputs and weights come filled.

    steps: callables over the slots. slot: value name -> index. Regions are handed in as
    (region description, callable(slots)). between: called after a region that PyTorch's own work follows.
    """

    def __init__(self, graph, regions, outputs, mutated, device=None, between=None):
        self.slot = {name: index for index, name in enumerate(graph["values"])}
        inner = {name: unit for unit, (region, _) in enumerate(regions) for name in region["nodes"]}
        units = [_RegionUnit(region, make(self.slot)) for region, make in regions]
        units += [_NodeUnit(node, self.slot, device) for node in graph["nodes"] if node["name"] not in inner]
        wanted = set(outputs) | set(mutated)
        self.steps = _ordered(units, wanted, set(graph["inputs"]) | {w["value"] for w in graph["weights"]})
        self._drop = self._last_uses(wanted)
        self.eager_nodes = sum(isinstance(unit, _NodeUnit) for unit in self.steps)
        self._program = []
        for unit, drop, after in zip(self.steps, self._drop, [*self.steps[1:], None], strict=True):
            self._program.append((unit.call, drop))
            if between is not None and isinstance(unit, _RegionUnit) and isinstance(after, _NodeUnit):
                self._program.append((lambda slots: between(), ()))

    def _last_uses(self, kept):
        """Per step, the slots that nobody reads after it."""
        drop, seen = [], set(kept)
        for unit in reversed(self.steps):
            names = [n for n in [*unit.reads, *unit.writes] if n not in seen]
            seen.update(names)
            drop.append(tuple(self.slot[n] for n in dict.fromkeys(names)))
        return drop[::-1]

    def run(self, slots):
        for call, drop in self._program:
            call(slots)
            for index in drop:
                slots[index] = None


def view_chain(graph, value, base):
    """Nodes of views that make `value` out of `base`, in order; None when there is something else between."""
    producers = {name: node for node in graph["nodes"] for name in node["outputs"] if name}
    chain = []
    while value != base:
        node = producers.get(value)
        if node is None or node["op"] not in _VIEWS:
            return None
        chain.append(node)
        value = next(references(node["args"]))
    return chain[::-1]


class _RegionUnit:
    def __init__(self, region, call):
        self.reads = [*region["inputs"], *region["weights"]]
        self.writes = [*region["outputs"], *(m["value"] for m in region["mutations"])]
        self.call = call


class _NodeUnit:
    def __init__(self, node, slot, device):
        self.reads = list(references(node["args"]))
        self.writes = [name for name in node["outputs"] if name]
        self.call = node_call(node, slot, device)


def _ordered(units, wanted, ready):
    """Units that `wanted` needs, each after those that it reads from."""
    makers = {name: unit for unit in units for name in unit.writes}
    order, state = [], {}  # id of a unit -> "open" or "done"

    def needs(unit):
        return [makers[n] for n in unit.reads if n not in ready and n in makers]

    for root in sorted(name for name in wanted if name not in ready):
        if root not in makers:
            raise InputError(f"nothing makes the value '{root}'")
        stack = [makers[root]]
        while stack:
            unit = stack[-1]
            if state.get(id(unit)) == "done":
                stack.pop()
                continue
            state[id(unit)] = "open"
            missing = [other for other in needs(unit) if state.get(id(other)) != "done"]
            if any(state.get(id(other)) == "open" for other in missing):
                raise InputError("regions of the artifact depend on each other in a circle")
            if missing:
                stack.append(missing[0])
            else:
                state[id(unit)] = "done"
                order.append(unit)
                stack.pop()
    return order


def node_call(node, slot, device=None):
    """callable(slots) that runs one eager node. `device`: what the graph's device of the same kind stands for."""
    name = _INSTEAD.get(node["op"], node["op"])
    packet = torch.ops
    for part in name.split("."):
        packet = getattr(packet, part)
    arguments = {
        ("shape" if key == "size" and name != node["op"] else key): value for key, value in node["args"].items()
    }
    positional, keywords = [], {}
    for argument in packet._schema.arguments:
        if argument.name not in arguments:
            continue
        make = _maker(arguments[argument.name], str(argument.type), slot, device)
        if argument.kwarg_only or len(positional) < packet._schema.arguments.index(argument):
            keywords[argument.name] = make
        else:
            positional.append(make)
    outputs = [(index, slot[out]) for index, out in enumerate(node["outputs"]) if out]
    single = len(node["outputs"]) == 1 and not isinstance(_returns(packet), list)

    def call(slots):
        result = packet(*[make(slots) for make in positional], **{k: make(slots) for k, make in keywords.items()})
        if single:
            slots[outputs[0][1]] = result
        else:
            for index, place in outputs:
                slots[place] = result[index]

    return call


def _returns(packet):
    """A list when the op hands back several tensors, else one type."""
    returns = packet._schema.returns
    return list(returns) if len(returns) != 1 or "[]" in str(returns[0].type) else returns[0].type


def _maker(value, kind, slot, device):
    """callable(slots) that gives one argument."""
    if isinstance(value, dict) and "value" in value:
        return operator.itemgetter(slot[value["value"]])
    if isinstance(value, list) and any(True for _ in references(value)):
        makers = [_maker(item, kind, slot, device) for item in value]
        return lambda slots: [make(slots) for make in makers]
    constant = _constant(value, kind)
    if isinstance(constant, torch.device) and device is not None and constant.type == device.type:
        constant = device
    return lambda slots: constant


def _constant(value, kind):
    if isinstance(value, dict):
        return DTYPES[value["dtype"]] if "dtype" in value else float(value["float"])
    if isinstance(value, list):
        return [_constant(item, kind) for item in value]
    if isinstance(value, str):
        if "Device" in kind or "device" in kind:
            return torch.device(value)
        known = getattr(torch, value, None)
        if isinstance(known, (torch.layout, torch.memory_format)):
            return known
    return value
