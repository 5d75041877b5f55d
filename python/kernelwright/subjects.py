# SPDX-License-Identifier: Apache-2.0
"""What a draw, a baseline or a timing is about: the module as it is, or one region of its graph."""

import torch
from torch.utils import _pytree as pytree

from kernelwright import policy as policies
from kernelwright.errors import InputError, user_error


def tensor_leaves(tree) -> list:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def replace_tensors(tree, tensors):
    """`tree` with its tensor leaves, in order, replaced."""
    leaves, spec = pytree.tree_flatten(tree)
    rest = iter(tensors)
    return pytree.tree_unflatten([next(rest) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves], spec)


def named_tensors(module) -> dict:
    """Every parameter and buffer, persistent or not; tied ones under their first name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def assign(module, values: dict) -> None:
    """Copies content into a module's own tensors; names that it lacks are constants and stay."""
    own = named_tensors(module)
    with torch.no_grad():
        for name, value in values.items():
            if name in own:
                own[name].copy_(value)


def judged_outputs(graph: dict, result) -> list:
    """The outputs of region `whole` out of what the module handed back: every value once, in order; in the partial
    form, where the graph does not know the result, every tensor."""
    leaves = pytree.tree_leaves(result)
    if "parts" in graph:
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    first = {}
    for leaf, output in zip(leaves, graph["outputs"], strict=True):
        if "value" in output:
            first.setdefault(output["value"], leaf)
    return list(first.values())


def whole_region(graph: dict) -> dict:
    """The region of everything, outputs once each."""
    produced = list(dict.fromkeys(o["value"] for o in graph["outputs"] if "value" in o))
    return {
        "id": "whole",
        "whole": True,
        "nodes": [n["name"] for n in graph["nodes"]],
        "inputs": list(graph["inputs"]),
        "weights": [w["value"] for w in graph["weights"]],
        "outputs": produced,
        "mutations": list(graph["mutations"]),
    }


class Subject:
    """inputs: value names; weights: state_dict name -> the module's own tensor, in region order;
    states: names of the buffers that a call changes."""

    def __init__(self, region, exported, workload):
        self.id = region["id"]
        self.region = region
        self.exported = exported
        self.workload = workload
        self.policy = workload.policy
        self.device = workload.device
        names = {w["value"]: w["name"] for w in exported.graph["weights"]}
        kinds = {w["name"]: w["kind"] for w in exported.graph["weights"]}
        self.weights = {names[v]: exported.weights[names[v]] for v in region["weights"]}
        self.parameters = [n for n in self.weights if kinds[n] == "parameter"]
        self.states = [m["name"] for m in region["mutations"]]
        for name in self.states:
            if name not in exported.weights:
                raise InputError(f"region {self.id} changes an unknown buffer", name=name)

    def all_weights(self, weights=None) -> dict:
        """Weights and the states' content before a call."""
        out = dict(self.weights if weights is None else weights)
        for name in self.states:
            out.setdefault(name, self.exported.weights[name])
        return out

    def eager(self, inputs, weights=None) -> list:
        """Outputs, then states after the call, under the policy."""
        with torch.inference_mode(), policies.context(self.policy, self.device.type):
            return self._run(inputs, self.all_weights(weights), False)

    def precise(self, inputs, weights) -> list:
        """The same in whatever precision the arguments have. `ready_precise` comes first."""
        return self._run(inputs, weights, True)

    def ready_precise(self) -> None:
        """Builds what `precise` needs: nothing may be constructed under the oracle's mode."""

    def _run(self, inputs, weights, precise):
        raise NotImplementedError

    def own_inputs(self, seed) -> list:
        """Fresh inputs by the workload's generator, contiguous."""
        raise NotImplementedError

    def timed(self):
        """(callable, inputs -> its positional and keyword arguments) for baselines."""
        raise NotImplementedError


class WholeSubject(Subject):
    def __init__(self, region, exported, workload):
        super().__init__(region, exported, workload)
        self._plain = None
        self._precise = None
        self._timed = None
        self._example = self._make_inputs(0)
        self._spare = leaves = tensor_leaves(self._example)
        self._outputs = None  # which of judged_outputs; None: all
        if "parts" in exported.graph:
            self._positions = list(range(len(leaves)))
            self._drop_example()
            own = named_tensors(workload.module)
            self.weights = {n: t.detach() for n, t in own.items()}
            self.parameters = [n for n, _ in workload.module.named_parameters()]
            return
        graph_inputs = exported.graph["inputs"]
        if len(leaves) != len(graph_inputs):
            raise InputError(
                "the exported inputs are not the tensors that the user passes",
                exported=str(len(graph_inputs)),
                passed=str(len(leaves)),
            )
        self._positions = [graph_inputs.index(name) for name in region["inputs"]]
        whole = whole_region(exported.graph)["outputs"]
        self._outputs = [whole.index(name) for name in region["outputs"]]
        self._drop_example()

    def _drop_example(self):
        """Only what every call is given anyhow is kept: inputs may be gigabytes."""
        nothing = torch.empty(0)
        self._spare = [nothing if i in self._positions else leaf for i, leaf in enumerate(self._spare)]
        self._example = replace_tensors(self._example, [nothing] * len(self._spare))

    def _make_inputs(self, seed):
        args, kwargs = self.workload.make_inputs(seed)
        return tuple(args), dict(sorted(kwargs.items()))

    def raw_inputs(self, seed):
        """(args, kwargs) as the workload makes them."""
        return self._make_inputs(seed)

    def plain_module(self):
        return self._module(False)

    def _arguments(self, inputs):
        leaves = list(self._spare)
        for position, tensor in zip(self._positions, inputs, strict=True):
            leaves[position] = tensor
        return replace_tensors(self._example, leaves)

    def _module(self, precise):
        if not precise:
            if self._plain is None:
                # Weights made in inference mode could not be assigned outside of it.
                with torch.inference_mode(False):
                    self._plain = self.workload.build()
            return self._plain
        self.ready_precise()
        return self._precise

    def ready_precise(self):
        if self._precise is None:
            self._precise = self.workload.build().double()

    def _run(self, inputs, weights, precise):
        module = self._module(precise)
        assign(module, weights)
        args, kwargs = self._arguments(inputs)
        try:
            result = module(*args, **kwargs)
        except Exception as error:
            if type(error).__module__ == "kernelwright.oracle":
                raise
            raise user_error("forward failed", error, self.workload.source_file) from error
        outputs = judged_outputs(self.exported.graph, result)
        own = named_tensors(module) if self.states else {}
        outputs = outputs if self._outputs is None else [outputs[i] for i in self._outputs]
        return outputs + [own[n].detach().clone() for n in self.states]

    def own_inputs(self, seed):
        leaves = tensor_leaves(self._make_inputs(seed))
        return [leaves[i].detach().contiguous() for i in self._positions]

    def timed(self):
        if self._timed is None:
            self._timed = self.workload.build()
        return self._timed, self._arguments


class RegionSubject(Subject):
    def __init__(self, region, exported, workload, whole):
        super().__init__(region, exported, workload)
        self._function = exported.region_module(region)
        self._whole = whole
        self._prefix = None
        self._values = [w for w in region["weights"]]
        self._names = {w["value"]: w["name"] for w in exported.graph["weights"]}

    def _run(self, inputs, weights, precise):
        given = [weights[self._names[v]] for v in self._values]
        # A region may write its states in place.
        given = [t.clone() if self._names[v] in self.states else t for v, t in zip(self._values, given, strict=True)]
        return [t.detach() for t in self._function(*inputs, *given)]

    def own_inputs(self, seed):
        if "parts" in self.exported.graph:
            return self._captured(seed)
        outer = self._whole.own_inputs(seed)
        if self._prefix is None:
            graph = self.exported.graph
            self._prefix = self.exported.region_module(
                {
                    **whole_region(graph),
                    "id": f"{self.id}.inputs",
                    "whole": False,
                    "nodes": _ancestors(graph, self.region["inputs"]),
                    "outputs": list(self.region["inputs"]),
                    "mutations": [],
                }
            )
        weights = self._whole.all_weights()
        names = [w["name"] for w in self.exported.graph["weights"]]
        with torch.inference_mode(), policies.context(self.policy, self.device.type):
            values = self._prefix(
                *outer, *[weights[n].clone() if n in self._whole.states else weights[n] for n in names]
            )
        return [t.detach().contiguous() for t in values]

    def _captured(self, seed):
        """From a run of the module itself, as its parts saw them."""
        module = self._whole.plain_module()
        assign(module, self._whole.all_weights())
        args, kwargs = self._whole.raw_inputs(seed)
        with torch.no_grad(), policies.context(self.policy, self.device.type):
            values = self.exported.values(module, args, kwargs)
        missing = [name for name in self.region["inputs"] if name not in values]
        if missing:
            raise InputError(f"no call reaches region {self.id}", value=missing[0])
        return [values[name].detach().clone(memory_format=torch.contiguous_format) for name in self.region["inputs"]]

    def timed(self):
        given = [self.weights[self._names[v]] for v in self._values]
        return self._function, lambda inputs: ((*inputs, *given), {})


def _ancestors(graph, values) -> list:
    """Names, in graph order, of the nodes that `values` depend on."""
    wanted = set(values)
    kept = []
    for node in reversed(graph["nodes"]):
        if wanted.intersection(node["outputs"]):
            kept.append(node["name"])
            wanted.update(_references(node["args"]))
    return kept[::-1]


def _references(argument):
    if isinstance(argument, dict):
        if set(argument) == {"value"}:
            yield argument["value"]
        else:
            for item in argument.values():
                yield from _references(item)
    elif isinstance(argument, list):
        for item in argument:
            yield from _references(item)


def make_subject(region, exported, workload, whole=None) -> Subject:
    if region.get("whole"):
        return WholeSubject(region, exported, workload)
    return RegionSubject(region, exported, workload, whole)
