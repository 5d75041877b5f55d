# SPDX-License-Identifier: Apache-2.0
"""An exported module: the graph, and what runs it or a region of it."""

import operator

import torch
from torch.utils import _pytree as pytree

from kernelwright.device import random_devices
from kernelwright.errors import InputError
from kernelwright.functional import lookup


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
        self.training = False  # the flag under which the module was exported
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

    def move_constants(self, device):
        """Puts the tensors that no module holds (folded constants) where the module is."""
        self.weights = {name: tensor.to(device) for name, tensor in self.weights.items()}
        for _, part in self.parts:
            part.move_constants(device)

    def weight_value_names(self):
        """{value name: weight name}"""
        return {w["value"]: w["name"] for w in self.graph["weights"]}

    def region_module(self, region):
        """GraphModule of a region: call(*inputs, *weights) -> (*outputs, *what mutated buffers hold).

        region: {"nodes", "inputs", "weights", "outputs", "mutations"} with names of the graph.
        """
        outputs = [*region["outputs"], *(_mutation_value(m) for m in region.get("mutations", []))]
        owner = self._owner(region["nodes"] or outputs)
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
            known = part._value_nodes.keys() | {node["name"] for node in part.graph["nodes"]}
            if not known.isdisjoint(names):
                return part
        return self

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


def own_copies(tree):
    """Tensors cloned one by one: torch.export takes two arguments that are one tensor for one argument."""
    return pytree.tree_map(lambda v: v.detach().clone() if isinstance(v, torch.Tensor) else v, tree)


def capture_inputs(module, paths, args, kwargs):
    """{path: (args, kwargs)} of the first call of each submodule during one call of `module`."""
    seen, handles = {}, []

    def hook(path):
        def remember(_, args, kwargs):
            if path not in seen:
                seen[path] = (own_copies(args), own_copies(kwargs))

        return remember

    for path in paths:
        target = lookup(module, path) if path else module
        handles.append(target.register_forward_pre_hook(hook(path), with_kwargs=True))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=random_devices()):
            module(*own_copies(args), **own_copies(kwargs))
    finally:
        for handle in handles:
            handle.remove()
    return seen


_OWN = frozenset(vars(torch.nn.Module()))


def changing_attributes(module, args, kwargs):
    """Paths of attributes, no parameters or buffers, that hold state which a graph would lose. Calls `module` twice
    from the same buffers: what the first call alone sets is a cache, and a tensor that is set anew without a
    difference to the result is only computed on the way."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    snapshots, results = [], []
    with torch.no_grad(), torch.random.fork_rng(devices=random_devices()):
        for _ in range(2):
            for buffer, content in buffers:
                buffer.copy_(content)
            torch.manual_seed(0)
            results.append(own_copies(module(*own_copies(args), **own_copies(kwargs))))
            snapshots.append(
                {
                    (path, name): _state(value)
                    for path, inner in module.named_modules()
                    for name, value in vars(inner).items()
                    if name not in _OWN
                }
            )
    before, after = snapshots
    changed = [key for key, value in after.items() if before.get(key) != value]
    if _alike(*results):
        changed = [key for key in changed if not _is_tensor_state(after[key])]
    return [f"{path}.{name}" if path else name for path, name in changed]


def _alike(first, second):
    pairs = list(zip(pytree.tree_leaves(first), pytree.tree_leaves(second), strict=False))
    return all(
        torch.allclose(part, other, rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in pairs
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and a.shape == b.shape
        for part, other in zip(a.reshape(-1).split(_PIECE), b.reshape(-1).split(_PIECE), strict=True)
    )


_PIECE = 1 << 24  # elements compared at a time


def _is_tensor_state(state):
    return isinstance(state, tuple) and state[:1] == (torch.Tensor,)


def _state(value):
    """Something that differs when an attribute was set anew or changed in place."""
    if isinstance(value, torch.Tensor):
        return torch.Tensor, id(value), 0 if value.is_inference() else value._version
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set)):
        return type(value), len(value), tuple(map(_state, value)) if len(value) <= 256 else None
    if isinstance(value, dict):
        return dict, len(value), tuple(map(_state, value.values())) if len(value) <= 256 else None
    return id(value)
