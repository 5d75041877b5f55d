# SPDX-License-Identifier: Apache-2.0
"""The drop-in under torch.compile: each region is one opaque op that Dynamo, Inductor and CUDA graphs see, the rest is
ATen (docs/artifact.md)."""

import itertools
import weakref

import torch
from torch import library as torch_library

from kernelwright.channel import DTYPES
from kernelwright.errors import InputError
from kernelwright.glue import Plan

_engines = weakref.WeakValueDictionary()  # key -> Engine
_numbers = itertools.count()
_library = torch_library.Library("kernelwright", "DEF")
_library.define("run_region(str engine, int region, Tensor[] inputs, Tensor[] weights) -> Tensor[]")


def register(engine) -> str:
    """A name under which the op finds an engine; the engine may go away."""
    key = f"engine{next(_numbers)}"
    _engines[key] = engine
    return key


def _engine(key):
    engine = _engines.get(key)
    if engine is None:
        raise InputError("the module that was compiled is gone")
    return engine


def _run_region(key, region, inputs, weights):
    return _engine(key).run_region(region, inputs, weights)


def _fake_region(key, region, inputs, weights):
    engine = _engine(key)
    device = next((t.device for t in [*inputs, *weights]), None)
    return [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in engine.region_types(region)]


_library.impl("run_region", _run_region, "CPU")
_library.impl("run_region", _run_region, "CUDA")
torch_library.register_fake("kernelwright::run_region", _fake_region, lib=_library)


class Traced:
    """An engine's graph in a form that Dynamo follows. Everything here is plain data, so that guards are cheap."""

    def __init__(self, engine, simple, types, device_type, autocast, flags):
        graph = engine.graph
        self.types = types
        self.device_type, self.autocast = device_type, autocast
        prefix = engine.artifact.parts[engine.part]["module_path"] + "." if engine.part is not None else ""
        self.weights = []  # (attribute path inside the module,) of what the graph reads, in the graph's order
        self.constants = []
        for weight in graph["weights"]:
            name = weight["name"]
            held = name not in engine.artifact.constants
            self.weights.append(tuple(name.removeprefix(prefix).split(".")) if held else None)
            self.constants.append(None if held else engine.artifact.constants[name])
        self.flags = [(tuple(name.split(".")) if name else (), flag) for name, flag in flags]
        self.single = engine.out_spec is not None and engine.out_spec.is_leaf()
        self.out_spec = engine.out_spec
        usable = simple and not graph["mutations"] and self.out_spec is not None
        self.usable = usable and not any(graph.get("call", {}).get("aliases", []))
        self.call = self._trace(engine) if self.usable else None

    def __deepcopy__(self, memo):
        # The op prepares for the weights that it is given; an eager call of the copy makes one of its own.
        return self

    def __reduce__(self):
        return _nothing, ()

    def _trace(self, engine):
        graph = engine.graph
        regions = engine.artifact.regions_of(engine.part)

        def maker(number, region):
            def make(slot):
                sources = [slot[n] for n in region["inputs"]]
                weights = [slot[n] for n in region["weights"]]
                targets = [slot[n] for n in region["outputs"]]

                def call(slots):
                    results = torch.ops.kernelwright.run_region.default(
                        engine.key, number, [slots[i] for i in sources], [slots[i] for i in weights]
                    )
                    for index, place in enumerate(targets):
                        slots[place] = results[index]

                return call

            return make

        made = [(region, maker(number, region)) for number, region in enumerate(regions)]
        outputs = [o["value"] for o in graph["outputs"] if "value" in o]
        plan = Plan(graph, made, outputs, [])
        fx = torch.fx.Graph()
        tracer = torch.fx.proxy.GraphAppendingTracer(fx)
        slots = [None] * len(plan.slot)
        for name in [*graph["inputs"], *(w["value"] for w in graph["weights"])]:
            slots[plan.slot[name]] = torch.fx.Proxy(fx.placeholder(name), tracer)
        plan.run(slots)
        results = [slots[plan.slot[o["value"]]].node if "value" in o else o.get("const") for o in graph["outputs"]]
        fx.output(results)
        return torch.fx.GraphModule(torch.nn.Module(), fx, "KernelwrightRegions")

    # ---- followed by Dynamo

    def takes(self, module, args, kwargs) -> bool:
        if kwargs or len(args) != len(self.types):
            return False
        if torch.is_autocast_enabled(self.device_type):
            if self.autocast is None or torch.get_autocast_dtype(self.device_type) is not self.autocast:
                return False
        elif self.autocast is not None:
            return False
        grad = torch.is_grad_enabled()
        for tensor, (dtype, shape) in zip(args, self.types):
            if not isinstance(tensor, torch.Tensor) or tensor.dtype != dtype or tuple(tensor.shape) != shape:
                return False
            if tensor.device.type != self.device_type or (grad and tensor.requires_grad):
                return False
        for path, flag in self.flags:
            inner = _at(module, path)
            if inner.training != flag or (path and (len(inner._forward_hooks) or len(inner._forward_pre_hooks))):
                return False
        if grad:
            for path in self.weights:
                if path is not None and _at(module, path).requires_grad:
                    return False
        return True

    def run(self, module, args):
        weights = [
            constant if path is None else _at(module, path) for path, constant in zip(self.weights, self.constants)
        ]
        if self.device_type != "cpu":
            weights = [w if w.device.type == self.device_type else w.to(args[0].device) for w in weights]
        results = self.call(*args, *weights)
        return results[0] if self.single else torch.utils._pytree.tree_unflatten(results, self.out_spec)


def _nothing():
    return None


def _at(module, path):
    for name in path:
        module = getattr(module, name)
    return module


def types_of(graph, region) -> list:
    return [(tuple(graph["values"][n]["shape"]), DTYPES[graph["values"][n]["dtype"]]) for n in region["outputs"]]
