# SPDX-License-Identifier: Apache-2.0
"""The drop-in: an artifact's `ModelNew`, and any module that runs the artifact's programs (docs/artifact.md)."""

import functools
import inspect
import threading
import warnings

import torch
from torch.autograd import forward_ad as _forward_ad
from torch.utils import _pytree as pytree

from kernelwright import call_spec, compiled_op, native
from kernelwright.artifact import Artifact
from kernelwright.channel import DTYPES
from kernelwright.errors import InputError
from kernelwright.direct import aligned, direct_call
from kernelwright.glue import Plan, node_call, view_chain
from kernelwright.shortcuts import empty_maker, recognizer

_PLAIN = frozenset((torch.Tensor, torch.nn.Parameter, torch.nn.Buffer))
_MAX_RECOGNIZERS = 8  # callers that change the kind of their tensors all the time are examined each time
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_raw_stream = getattr(torch._C, "_cuda_getCurrentRawStream", None)
_dispatch_modes = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 0)
_is_tracing = getattr(torch._C, "_is_tracing", torch.jit.is_tracing)
_functorch_level = getattr(torch._C._functorch, "maybe_current_level", lambda: None)
# What every call asks, by its own name: on cold caches each look into torch's large dictionary is felt.
_is_compiling = torch.compiler.is_dynamo_compiling
_is_autocast_enabled, _is_grad_enabled = torch.is_autocast_enabled, torch.is_grad_enabled
_get_num_threads, _strided = torch.get_num_threads, torch.strided


def load_artifact(path):
    """The class of an artifact: same constructor, forward and state_dict keys as the original.

    path: `optimized.py` or its folder. An artifact of another runtime ABI, or built for instruction sets that
    this CPU lacks, is refused.
    """
    from kernelwright.workload import open_workload

    artifact = Artifact(path)
    spec = artifact.result.get("spec", {})
    where = spec.get("path", "")
    if (artifact.folder / where.partition(":")[0]).is_file():
        where = str(artifact.folder / where)
    with artifact.naming_what_is_missing():
        workload = open_workload(where, spec.get("size", "cpu"), "strict")
    if workload.kind == "pt2":

        def construct():
            return attach(workload._construct(), artifact)

        construct.__name__ = construct.__qualname__ = "ModelNew"
        return construct
    original = workload.module_globals
    for part in workload.class_name.split("."):
        original = original[part] if isinstance(original, dict) else getattr(original, part)

    class ModelNew(original):
        def __init__(self, *args, **kwargs):
            with artifact.naming_what_is_missing():
                super().__init__(*args, **kwargs)
            attach(self, artifact)

    ModelNew.__qualname__ = "ModelNew"
    ModelNew.__doc__ = f"{original.__name__} with the programs of {artifact.folder.name}."
    return ModelNew


def attach(module, artifact):
    """Makes a module run an artifact's programs. Changes the class of `module` (or of its parts), not its content."""
    if not isinstance(artifact, Artifact):
        artifact = Artifact(artifact)
    if not artifact.programs:
        return module
    if artifact.parts is None:
        return _attach(module, artifact, None)
    for index, part in enumerate(artifact.parts):
        if artifact.regions_of(index):
            target = module.get_submodule(part["module_path"]) if part["module_path"] else module
            _attach(target, artifact, index)
    return module


def _attach(module, artifact, part):
    original = type(module)

    class DropIn(original):
        def forward(self, *args, **kwargs):
            if _is_compiling():
                traced = self._kernelwright_traced
                # The flag itself: Dynamo takes is_exporting() for true until PyTorch 2.13, whoever asks
                # (github.com/pytorch/pytorch/issues/176347).
                exporting = torch.compiler._is_exporting_flag
                if traced is None or exporting or not traced.takes(self, args, kwargs):
                    return super().forward(*args, **kwargs)
                return traced.run(self, args)
            engine = self.__dict__.get("_kernelwright")
            if engine is None:
                return super().forward(*args, **kwargs)
            if engine.module is not self:  # a copy
                engine = engine.fresh(self)
                self.__dict__.update(_kernelwright=engine, _kernelwright_traced=engine.traced)
            tensors = engine.accept(args, kwargs)
            if tensors is None:
                return super().forward(*args, **kwargs)
            if engine.out_spec is None:
                result = super().forward(*args, **kwargs)
                engine.out_spec = pytree.tree_structure(result)
                return result
            return engine.run(tensors)

        def refresh(self):
            """Weights changed where PyTorch keeps no version (inference tensors, foreign memory)."""
            for inner in self.modules():
                engine = inner.__dict__.get("_kernelwright")
                if engine is not None:
                    engine.refresh()

    DropIn.__name__, DropIn.__qualname__ = original.__name__, original.__qualname__
    DropIn.__module__, DropIn.__doc__ = original.__module__, original.__doc__
    module.__class__ = DropIn
    engine = Engine(artifact, part, _training_flags(module), module)
    module.__dict__.update(_kernelwright=engine, _kernelwright_traced=engine.traced)
    return module


def _training_flags(module):
    return [(name, inner.training) for name, inner in module.named_modules()]


class Engine:
    """Runs one graph for one module. `accept` decides whether a call is what was judged."""

    def __init__(self, artifact, part, flags, module):
        self.artifact, self.part, self.flags, self.module = artifact, part, flags, module
        graph = self.graph = artifact.part_graph(part)
        call = graph.get("call") or {}
        self._lock = threading.RLock()
        self._in_spec = call_spec.loads(call.get("in_spec"))
        self.out_spec = call_spec.loads(call.get("out_spec"))
        self._leaves = call.get("input_leaves", [])
        self._baked = [(position, value) for position, value in call.get("baked", [])]
        values = graph["values"]
        self._types = [(DTYPES[values[n]["dtype"]], torch.Size(values[n]["shape"])) for n in graph["inputs"]]
        count = len(graph["inputs"])
        flat = pytree.tree_structure((tuple([0] * count), {}))
        self._simple = self._in_spec == flat and not self._baked and self._leaves == list(range(count))
        self._autocast = _AUTOCAST.get(artifact.policy)
        self._signature = None
        self._plan = None
        self._watch = None  # None: nothing prepared; else [(place, key, tensor, address, version)]
        self._unsuited = False
        self._recognize = None  # of a simple call that was accepted: whether another one is like it
        self._recognizers_left = _MAX_RECOGNIZERS
        self.prepare_count = 0
        self._type = "cuda" if artifact.on_gpu else "cpu"
        self._gpu = None  # index of the device that the programs were opened on
        self._stream = None  # of the latest call
        self._copies = []  # device memory that programs read and PyTorch thinks idle
        self._said = set()
        self._device = torch.device("cpu")
        self._moved = {}
        self.key = compiled_op.register(self)

    @functools.cached_property
    def traced(self):
        """What torch.compile follows; None: the original's forward."""
        try:
            types = [(dtype, tuple(shape)) for dtype, shape in self._types]
            traced = compiled_op.Traced(self, self._simple, types, self._type, self._autocast, self.flags)
        except Exception:  # an op without a symbolic form
            return None
        return traced if traced.usable else None

    def fresh(self, module):
        return Engine(self.artifact, self.part, self.flags, module)

    def __deepcopy__(self, memo):
        # The copy's module differs from this one's; its first call makes an engine of its own.
        return self

    def __reduce__(self):
        return _reopen, (str(self.artifact.folder), self.part, self.flags)

    def refresh(self):
        with self._lock:
            self._watch = None
            self._unsuited = False

    # ---- the guard

    def accept(self, args, kwargs):
        """The graph's inputs, the weights being ready; None: the call is for the original."""
        # What the recognizer does not see: modes of PyTorch's own kind, tangents.
        if _dispatch_modes() or _forward_ad._current_level >= 0:
            return None
        recognize, gpu = self._recognize, self._gpu
        known = recognize is not None and not kwargs and len(args) == len(self._types) and recognize(*args)
        if known:
            tensors = args
        else:
            tensors = self._examine(args, kwargs)
            if tensors is None:
                return None
            if self._type == "cuda" and gpu is None and tensors:
                gpu = tensors[0].get_device()
            # A recognizer does not see which type autocast goes to.
            if tensors is args and gpu is None and self._autocast is None and self._recognizers_left > 0:
                made = recognizer(tensors)
                if made is not None:
                    self._recognizers_left -= 1
                    self._recognize = made
        if self._changed():
            if gpu is not None and torch.cuda.is_current_stream_capturing():
                self._say_once("weights are prepared by a call outside of a CUDA graph's capture: this one is eager")
                return None
            self._prepare(gpu)
        if self._unsuited:
            return None
        if self.module.training is not self._training:
            return None
        for store, key, inner, flag in self._inner:
            # Another submodule, another mode, or somebody who listens in.
            if (
                store.get(key) is not inner
                or inner.training is not flag
                or inner._forward_hooks
                or inner._forward_pre_hooks
            ):
                return None
        if self._watch and _is_grad_enabled():
            for entry in self._watch:
                if entry[2].requires_grad:
                    return None
        if not known and self._direct is not None:
            return [t if t.is_contiguous() else aligned(t) for t in tensors]
        return tensors

    def _examine(self, args, kwargs):
        """The graph's inputs when they and PyTorch's state are what was judged; else None."""
        if _functorch_level() is not None or _is_tracing():
            return None
        if _is_autocast_enabled(self._type):
            if self._autocast is None or torch.get_autocast_dtype(self._type) is not self._autocast:
                return None
        elif self._autocast is not None:
            return None
        if self._simple and not kwargs and len(args) == len(self._types):
            tensors = args
        else:
            tensors = self._flatten(args, kwargs)
            if tensors is None:
                return None
        grad = _is_grad_enabled()
        gpu = self._gpu
        if self._type == "cuda" and gpu is None and tensors:
            gpu = tensors[0].get_device() if isinstance(tensors[0], torch.Tensor) else -1
        for tensor, (dtype, shape) in zip(tensors, self._types, strict=True):
            if (
                type(tensor) not in _PLAIN
                or tensor.dtype is not dtype
                or tensor.shape != shape
                or not (tensor.is_cpu if gpu is None else tensor.is_cuda and tensor.get_device() == gpu)
                or (grad and tensor.requires_grad)
                or tensor.layout is not _strided
                or tensor.is_neg()
            ):
                return None
        return tensors

    def _flatten(self, args, kwargs):
        if self._in_spec is None:
            return None
        leaves, spec = pytree.tree_flatten((tuple(args), dict(sorted(kwargs.items()))))
        if spec != self._in_spec:
            try:  # the same call with arguments by name
                if self._signature is None:
                    self._signature = inspect.signature(type(self.module).__mro__[1].forward)
                bound = self._signature.bind(self.module, *args, **kwargs)
            except (TypeError, ValueError):
                return None
            leaves, spec = pytree.tree_flatten((bound.args[1:], dict(sorted(bound.kwargs.items()))))
            if spec != self._in_spec:
                return None
        if not all(call_spec.equals(leaves[position], value) for position, value in self._baked):
            return None
        return [leaves[i] for i in self._leaves]

    def _changed(self):
        watch = self._watch
        if watch is None:
            return True
        for place, key, tensor, address, version in watch:
            now = place.get(key)
            if now is not tensor or now.data_ptr() != address or (version is not None and now._version != version):
                return True
        return False

    # ---- weights

    def _say_once(self, text):
        if text not in self._said:
            self._said.add(text)
            warnings.warn(f"kernelwright, {self.artifact.folder.name}: {text}", stacklevel=4)

    def _prepare(self, gpu=None):
        with self._lock:
            if self._type == "cpu":
                self._prepare_here({})
                return
            if self._gpu is None:
                self._gpu = torch.cuda.current_device() if gpu is None else gpu
                self._device = torch.device("cuda", self._gpu)
            with torch.cuda.device(self._gpu):
                torch.cuda.current_stream()  # the context that programs are opened in is PyTorch's
                self._prepare_here({"stream": _raw_stream(self._gpu)})

    def _prepare_here(self, stream):
        if self._plan is None:
            self._build()
        self._unsuited = not self._take_weights()
        if self._unsuited:
            return
        for _region, program in self._programs:
            program.prepare([self._addresses[name] for name in program.weight_names], **stream)
        self.prepare_count += 1

    def _take_weights(self):
        """Reads the module's tensors into the slots; False when they are not what was judged."""
        values = self.graph["values"]
        prefix = self.artifact.parts[self.part]["module_path"] + "." if self.part is not None else ""
        places = {prefix + name: place for name, place in _places(self.module).items()}
        watch, template, kept, suited = [], list(self._blank), {}, True
        for weight in self.graph["weights"]:
            name, declared = weight["name"], values[weight["value"]]
            if name in places:
                place, key = places[name]
                tensor = place[key]
                watch.append(_watched(place, key))
            elif name in self.artifact.constants:
                tensor = self._constant(name)
            else:
                suited = suited and weight["value"] not in self._needed
                continue
            plain = tensor.detach()
            if (
                plain.dtype is not DTYPES[declared["dtype"]]
                or list(plain.shape) != declared["shape"]
                or plain.device != self._device
                or type(plain) not in _PLAIN
            ):
                suited = False
                continue
            template[self._plan.slot[weight["value"]]] = tensor
            kept[name] = plain.contiguous()
        # Names that were one tensor when exported have to be one still.
        for names in self._tied:
            place, key = places[prefix + names[0]]
            first = place[key]
            for name in names[1:]:
                watch.append(_watched(*places[prefix + name]))
                suited = suited and watch[-1][2] is first
        if self._type == "cuda":  # the old copies may still be read on another stream
            self._record()
            places = {t.data_ptr() for t in template if isinstance(t, torch.Tensor)}
            self._copies = [t for t in kept.values() if t.data_ptr() not in places]
        self._watch, self._template, self._kept = watch, template, kept
        self._addresses = {name: tensor.data_ptr() for name, tensor in kept.items()}
        self._sources = {name: template[slot].data_ptr() for name, slot in self._weight_slots if name in kept}
        self._buffers = {name: places[name][0][places[name][1]] for name, _ in self._mutated if name in places}
        return suited and len(self._buffers) == len(self._mutated)

    def _constant(self, name):
        """A tensor that no module holds, on the programs' device; moved once."""
        tensor = self.artifact.constants[name]
        if tensor.device != self._device:
            tensor = self._moved.get(name)
            if tensor is None:
                tensor = self._moved[name] = self.artifact.constants[name].to(self._device)
        return tensor

    def _record(self):
        """Tells PyTorch's allocator that our copies of weights are in use on the latest stream."""
        if self._stream is not None:
            for tensor in self._copies:
                tensor.record_stream(self._stream)

    # ---- the plan

    def _build(self):
        graph = self.graph
        outputs = [o["value"] for o in graph["outputs"] if "value" in o]
        self._mutated = [(m["name"], m["value"]) for m in graph["mutations"]]
        self._names = {w["value"]: w["name"] for w in graph["weights"]}
        self._programs = [(r, self.artifact.open_program(r)) for r in self.artifact.regions_of(self.part)]
        regions = [(r, self._region_maker(r, p)) for r, p in self._programs]
        # Workers that spin would take cores from PyTorch's.
        between = native.park if self._type == "cpu" else None
        self._plan = Plan(graph, regions, outputs, [value for _, value in self._mutated], self._device, between)
        self._region_calls = [make(self._plan.slot) for _, make in regions]
        slot = self._plan.slot
        self._needed = {n for unit in self._plan.steps for n in unit.reads}
        self._weight_slots = [(w["name"], slot[w["value"]]) for w in graph["weights"]]
        self._blank = [None] * len(slot)
        self._input_slots = [slot[n] for n in graph["inputs"]]
        self._results = [(slot[o["value"]], None) if "value" in o else (-1, o.get("const")) for o in graph["outputs"]]
        self._single = len(self._results) == 1 and self.out_spec is not None and self.out_spec.is_leaf()
        self._views = self._view_steps(graph, slot)
        self._direct = None
        if self._type == "cpu" and self.part is None and self._single and not (self._views or self._mutated):
            self._direct = direct_call(graph, self._plan, self._programs, self._device)
        flags = dict(self.flags)
        self._training = flags[""]
        self._inner = [
            (outer._modules, key, inner, flags.get(f"{name}.{key}" if name else key))
            for name, outer in self.module.named_modules()
            for key, inner in outer._modules.items()
            if inner is not None
        ]
        groups = {}
        for name, (place, key) in _places(self.module).items():
            groups.setdefault(id(place[key]), []).append(name)
        self._tied = [names for names in groups.values() if len(names) > 1]

    def _view_steps(self, graph, slot):
        """A result that is a view of an input, a weight or another result is made as such."""
        steps = []
        by_weight = {w["name"]: w["value"] for w in graph["weights"]}
        for index, alias in enumerate((graph.get("call") or {}).get("aliases", [])):
            if not alias or alias.get("same") or "value" not in graph["outputs"][index]:
                continue
            if "input" in alias:
                base = graph["inputs"][alias["input"]]
            elif "weight" in alias:
                base = by_weight[alias["weight"]]
            else:
                base = graph["outputs"][alias["output"]]["value"]
            chain = view_chain(graph, graph["outputs"][index]["value"], base)
            steps += [node_call(node, slot, self._device) for node in chain or []]
        return steps

    def _region_maker(self, region, program):
        values = self.graph["values"]
        makers = [
            empty_maker(tuple(values[n]["shape"]), DTYPES[values[n]["dtype"]], self._device) for n in region["outputs"]
        ]
        state_values = {m["name"]: m["value"] for m in region["mutations"]}
        states = list(program.state_names)
        # A weight that the region itself changes is prepared anew for every call.
        restless = bool(set(program.weight_names) & set(state_values))
        gpu = self._gpu

        def make(slot):
            sources = [slot[n] for n in region["inputs"]]
            targets = [slot[n] for n in region["outputs"]]
            state_slots = [slot[state_values[name]] for name in states]

            def call(slots):
                inputs = []
                for place in sources:
                    tensor = slots[place]
                    if not tensor.is_contiguous() or tensor.data_ptr() & 63:
                        tensor = slots[place] = aligned(tensor)
                    inputs.append(tensor.data_ptr())
                outputs = []
                for place, made in zip(targets, makers, strict=True):
                    tensor = slots[place] = made()
                    outputs.append(tensor.data_ptr())
                stream = {} if gpu is None else {"stream": _raw_stream(gpu)}
                if not states:
                    program.run(inputs, outputs, **stream)
                    return
                if restless:
                    program.prepare([self._addresses[name] for name in program.weight_names], **stream)
                held = [aligned(self._buffers[name].detach()) for name in states]
                program.run(inputs, outputs, [tensor.data_ptr() for tensor in held], **stream)
                for place, tensor in zip(state_slots, held, strict=True):
                    slots[place] = tensor

            return call

        return make

    def run(self, tensors):
        if self._direct is not None:
            self._share_threads()
            return self._direct(tensors)
        slots = self._template.copy()
        for place, tensor in zip(self._input_slots, tensors, strict=True):
            slots[place] = tensor
        if self._gpu is not None:
            if torch.cuda.current_device() != self._gpu:
                with torch.cuda.device(self._gpu):
                    return self._run(slots)
            if self._copies:
                stream = torch.cuda.current_stream()
                if stream != self._stream:
                    self._record()
                    self._stream = stream
            return self._run(slots)
        self._share_threads()
        result = self._run(slots)
        if self.part is not None:  # the rest of the module is eager
            native.park()
        return result

    @staticmethod
    def _share_threads():
        threads = _get_num_threads()
        if threads != Engine._threads:
            native.set_threads(threads)
            Engine._threads = threads

    # ---- one region alone, for the op that torch.compile sees

    def region_types(self, number):
        return compiled_op.types_of(self.graph, self.artifact.regions_of(self.part)[number])

    def run_region(self, number, inputs, weights):
        """Results of one region. `weights` in its order; they are the module's own, or stand in for them."""
        gpu = None
        if self._type == "cuda":
            gpu = inputs[0].get_device() if inputs else torch.cuda.current_device()
            if self._gpu is not None and gpu != self._gpu:
                raise InputError(f"the programs were opened on cuda:{self._gpu}, the call is on cuda:{gpu}")
        else:
            self._share_threads()
        with self._lock:
            if self._changed():
                if gpu is not None and torch.cuda.is_current_stream_capturing():
                    raise InputError("weights are new or changed: call once before a CUDA graph is captured")
                self._prepare(gpu)
            if self._unsuited:
                raise InputError("the module's weights are not what was judged")
            region, program = self._programs[number]
            names = [self._names[value] for value in region["weights"]]
            own = dict(zip(names, weights, strict=True))
            foreign = any(self._sources.get(n, t.data_ptr()) != t.data_ptr() for n, t in own.items())
            if foreign:
                own = {n: t.detach().contiguous() for n, t in own.items()}
                stream = {} if gpu is None else {"stream": _raw_stream(gpu)}
                program.prepare([own[name].data_ptr() for name in program.weight_names], **stream)
                self._watch = None  # the next call prepares for the module's own again
            slots = [None] * len(self._plan.slot)
            for name, tensor in zip(region["inputs"], inputs, strict=True):
                slots[self._plan.slot[name]] = tensor
            self._region_calls[number](slots)
            if gpu is None and (self._plan.eager_nodes or self.part is not None):
                native.park()
            if foreign and gpu is not None:
                for tensor in own.values():
                    tensor.record_stream(torch.cuda.current_stream(gpu))
            return [slots[self._plan.slot[name]] for name in region["outputs"]]

    def _run(self, slots):
        given = [slots[i] for i in self._input_slots] if self._views else None
        self._plan.run(slots)
        if self._mutated:
            self._write_back(slots)
        if self._views:
            for place, tensor in zip(self._input_slots, given, strict=True):
                slots[place] = tensor
            for step in self._views:
                step(slots)
        if self._single:
            place, constant = self._results[0]
            return slots[place] if place >= 0 else constant
        return pytree.tree_unflatten([slots[p] if p >= 0 else c for p, c in self._results], self.out_spec)

    _threads = 0

    def _write_back(self, slots):
        with torch.no_grad():
            for name, value in self._mutated:
                self._buffers[name].copy_(slots[self._plan.slot[value]])
        # Our own writes are no news.
        mutated = {id(t) for t in self._buffers.values()}
        self._watch = [
            (p, k, t, a, t._version if id(t) in mutated and v is not None else v) for p, k, t, a, v in self._watch
        ]


def _places(module):
    """{state_dict-like name: (the dict that holds it, key)} of every parameter and buffer, tied ones included."""
    out = {}
    for prefix, inner in module.named_modules(remove_duplicate=False):
        for store in (inner._parameters, inner._buffers):
            for key, tensor in store.items():
                if tensor is not None:
                    out[f"{prefix}.{key}" if prefix else key] = (store, key)
    return out


def _watched(place, key):
    tensor = place[key]
    return place, key, tensor, tensor.data_ptr(), None if tensor.is_inference() else tensor._version


def _reopen(folder, part, flags):
    return Engine(Artifact(folder), part, flags, None)
