# SPDX-License-Identifier: Apache-2.0
"""The final check: original and drop-in of one artifact side by side in one process."""

import os
import time
from pathlib import Path

import torch

from kernelwright import baselines, channel, device_timing, dropin, native, subjects, workload
from kernelwright import device as devices
from kernelwright import policy as policies
from kernelwright.artifact import Artifact
from kernelwright.errors import InputError, KernelwrightError, user_error

CONTENTS = 4
MIN_ROUNDS = 5
MAX_ROUNDS = 4000


class ArtifactCheck:
    """generated: the artifact has programs; prepare_ms: time of their `prepare` steps."""

    def __init__(self, request):
        self._artifact = Artifact(request["artifact"])
        where = request["path"]
        if not Path(where.partition(":")[0]).exists() and (self._artifact.folder / where.partition(":")[0]).exists():
            where = str(self._artifact.folder / where)
        inputs = request.get("inputs", "")
        if inputs.endswith(".pt") and not Path(inputs).exists():
            inputs = str(self._artifact.folder / inputs)
        policy = self._artifact.policy
        self.device = devices.of_target(request.get("target", "cpu"))
        policies.apply(policy)
        self._policy = policy
        self._workload = workload.load(
            where, request.get("init", ""), inputs, request.get("size", "cpu"), policy, device=self.device
        )
        self.generated = bool(self._artifact.programs)
        self._original = self._workload.build()
        self._dropin = self._make_dropin()
        self._compiled = None
        args, kwargs = self._workload.make_inputs(0)
        self._input_types = [t.to("meta") for t in subjects.tensor_leaves((args, kwargs))]
        self._example = (args, dict(sorted(kwargs.items())))
        self.prepare_ms = self._prepare()
        if self.device.type != "cpu":  # from now on only its form counts
            nothing = torch.empty(0)
            self._example = subjects.replace_tensors(
                self._example, [nothing] * len(subjects.tensor_leaves(self._example))
            )

    def _make_dropin(self):
        init_args, init_kwargs = self._workload.init_args
        model = dropin.load_artifact(self._artifact.folder)
        made = workload._seeded(workload.WEIGHT_SEED, lambda: model(*init_args, **init_kwargs)).to(self.device)
        subjects.assign(made, subjects.named_tensors(self._original))
        return made.train(self._original.training) if self._original.training is not made.training else made

    def _engines(self):
        return [m.__dict__["_kernelwright"] for m in self._dropin.modules() if "_kernelwright" in m.__dict__]

    def _prepare(self):
        """Runs the example call twice; the first one prepares. Every program must have taken part."""
        if not self.generated:
            return 0.0
        # Programs are opened and threads started by a call that is not timed.
        states = {n: t.clone() for n, t in subjects.named_tensors(self._dropin).items()}
        self._call(self._dropin, self._example)
        for engine in self._engines():
            if engine.prepare_count == 0:
                raise KernelwrightError(
                    "the drop-in does not take the call it was judged on", artifact=str(self._artifact.folder)
                )
            engine.refresh()
        self._wait()
        begin = time.perf_counter()
        for engine in self._engines():
            engine._prepare()
        self._wait()
        took = (time.perf_counter() - begin) * 1e3
        subjects.assign(self._dropin, states)
        return took

    def _call(self, module, example):
        try:
            with torch.inference_mode(), policies.context(self._policy, self.device.type):
                return module(*example[0], **example[1])
        except KernelwrightError:
            raise
        except Exception as error:
            raise user_error("forward failed", error, self._workload.source_file) from error

    def _wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def run_on(self, places, memories):
        """The same where the coordinator wants it: inputs are read in place, results written beside them."""
        types = self._artifact.graph["values"]
        own = subjects.named_tensors(self._dropin)
        given = {}
        for name, place in [*(places.get("weights") or {}).items(), *places.get("states", {}).items()]:
            if name in own:
                given[name] = memories.view(place, own[name].dtype, own[name].shape)
        subjects.assign(self._dropin, given)
        names = self._artifact.graph["inputs"]
        if "parts" in self._artifact.graph:
            kinds = [(t.dtype, t.shape) for t in self._input_types]
        else:
            kinds = [(channel.DTYPES[types[n]["dtype"]], types[n]["shape"]) for n in names]
        inputs = [memories.view(place, *kind) for place, kind in zip(places["inputs"], kinds, strict=True)]
        result = self._call(self._dropin, subjects.replace_tensors(self._example, inputs))
        outputs = subjects.judged_outputs(self._artifact.graph, result)
        for answer in places["answers"]:
            if "index" in answer and not 0 <= answer["index"] < len(outputs):
                raise InputError("the draw has more answers than the drop-in has outputs")
            tensor = outputs[answer["index"]] if "index" in answer else own[answer["name"]]
            memories.view(answer["out"], tensor.dtype, tensor.shape).copy_(tensor)
        self._wait()

    def run(self, draw, fd):
        """Outputs and states of the drop-in on a draw, in the order of its answers."""
        flat = channel.map_fd(fd)
        inputs = [channel.unpack(flat, t).to(self.device) for t in draw["inputs"]]
        weights = {t["name"]: channel.unpack(flat, t) for t in [*draw["weights"], *draw["states"]]}
        subjects.assign(self._dropin, weights)
        result = self._call(self._dropin, subjects.replace_tensors(self._example, inputs))
        outputs = subjects.judged_outputs(self._artifact.graph, result)
        own = subjects.named_tensors(self._dropin)
        packer = channel.Packer()
        tensors = []
        for answer in draw["answers"]:
            if "index" in answer and not 0 <= answer["index"] < len(outputs):
                raise InputError("the draw has more answers than the drop-in has outputs")
            tensors.append(packer.add(outputs[answer["index"]] if "index" in answer else own[answer["name"]]))
        return {"tensors": tensors, "bytes": packer.size}, [packer.write("kw-outputs")]

    def time(self, seconds, flush_bytes, fresh_memory, with_compile, traffic=(0, 0)):
        """traffic: (bytes read, bytes written) of a call. On a CPU the same traffic without any work is timed
        among the rest, since what memory gives changes with what the machine's other users do."""
        contenders = {"original": self._original}
        if with_compile and self._ready_compiled():
            contenders["compile"] = self._compiled
        contenders["dropin"] = self._dropin
        contents = []
        large = devices.size_of(self._input_types) > devices.LARGE and self.device.type == "cuda"
        for i in range(1 if large else CONTENTS):
            args, kwargs = self._workload.make_inputs(9001 + i)
            contents.append((args, dict(sorted(kwargs.items()))))
        if self.device.type == "cuda":
            return self._time_on_device(seconds, flush_bytes, fresh_memory, contenders, contents)
        if any(traffic) and not fresh_memory:
            contenders["memory"] = _Traffic(*traffic)
        ms = {name: [] for name in contenders}
        flush = baselines.Flush(flush_bytes)
        with baselines.quiet(), torch.inference_mode(), policies.context(self._policy, self.device.type):
            try:
                baselines.set_memory(not fresh_memory)
                for module in contenders.values():
                    for args, kwargs in contents[:2]:
                        module(*args, **kwargs)
                ours = {"dropin", "memory"} if self.generated else {"memory"}
                end = time.perf_counter() + max(0.0, seconds)
                names, rounds = list(contenders), 0
                while rounds < MIN_ROUNDS or (time.perf_counter() < end and rounds < MAX_ROUNDS):
                    args, kwargs = contents[rounds % CONTENTS]
                    for name in names[rounds % len(names) :] + names[: rounds % len(names)]:
                        wake = native.wake if name in ours else None
                        ms[name].append(baselines.cold_call(contenders[name], args, kwargs, flush, wake))
                    rounds += 1
            finally:
                baselines.set_memory(True)
        return {"ms": {k: v for k, v in ms.items() if k != "memory"}, "memory_ms": ms.get("memory", [])}

    def _time_on_device(self, seconds, flush_bytes, fresh_memory, contenders, contents):
        """With fresh memory, `ms` is latency: every result lies in memory that was not PyTorch's before, which the
        driver gives while the host waits."""
        if "compile" in contenders:
            contenders = {**contenders, **self._ready_captured(contents)}
        ms = {name: [] for name in contenders}
        latency = {name: [] for name in contenders}
        timer = device_timing.DeviceTimer(self.device, flush_bytes)

        def before(module, args, kwargs):
            if isinstance(module, device_timing.Captured):
                return lambda: module.place(args, kwargs)
            return torch.cuda.empty_cache if fresh_memory else None

        with baselines.quiet(), torch.inference_mode(), policies.context(self._policy, "cuda"):
            for module in contenders.values():
                for args, kwargs in contents[:2]:
                    timer.device_ms(module, args, kwargs, before(module, args, kwargs))
            end = time.perf_counter() + max(0.0, seconds)
            names, rounds = list(contenders), 0
            while rounds < MIN_ROUNDS or (time.perf_counter() < end and rounds < MAX_ROUNDS):
                args, kwargs = contents[rounds % len(contents)]
                for name in names[rounds % len(names) :] + names[: rounds % len(names)]:
                    call = (contenders[name], args, kwargs, before(contenders[name], args, kwargs))
                    if fresh_memory or rounds % 4 == 0:
                        latency[name].append(timer.latency_ms(*call))
                    ms[name].append(latency[name][-1] if fresh_memory else timer.device_ms(*call))
                rounds += 1
        return {"ms": ms, "latency_ms": latency}

    def _ready_captured(self, contents):
        """Eager and what max-autotune makes, each in a CUDA graph; those that work here."""
        out = {}
        if len(contents) < CONTENTS:  # inputs of gigabytes are not copied into a graph
            return out
        args, kwargs = contents[0]
        for name in ("cuda-graph", "max-autotune"):
            if name == "max-autotune" and os.environ.get("KERNELWRIGHT_MAX_AUTOTUNE") == "0":
                continue
            try:
                module = self._workload.build()
                with torch.inference_mode(), policies.context(self._policy, "cuda"):
                    if name == "max-autotune":
                        module = torch.compile(module, mode="max-autotune-no-cudagraphs")
                        module(*args, **kwargs)
                    out[name] = device_timing.Captured(module, args, kwargs, self.device)
            except Exception:  # a baseline that does not work here is left out
                torch.cuda.synchronize(self.device)
        return out

    def _ready_compiled(self):
        if baselines.compiler_is_off():
            return False
        if self._compiled is None:
            try:
                compiled = torch.compile(self._workload.build())
                args, kwargs = self._workload.make_inputs(0)
                self._call(compiled, (args, dict(sorted(kwargs.items()))))
                self._compiled = compiled
            except Exception:  # a baseline that does not work here is left out
                return False
        return True


class _Traffic:
    """A call's bytes without its work."""

    def __init__(self, read, written):
        # Not zeros: untouched pages would all be one page of zeros.
        self._memory = [torch.full((max(1, size),), 1, dtype=torch.uint8) for size in (read, written)]
        source, target = [memory.data_ptr() for memory in self._memory]
        self._arguments = (source, read, target, written)

    def __call__(self, *_args, **_kwargs):
        native.move_traffic(*self._arguments)
