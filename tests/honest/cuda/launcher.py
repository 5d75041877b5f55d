# SPDX-License-Identifier: Apache-2.0
"""Runs a program for cuda without our runtime: driver calls through ctypes, memory and streams of PyTorch. For
check.py alone, as a second opinion on runtime and kernels: it knows what the proof programs use, no more."""

import ast
import ctypes
import functools
import json
import math
import subprocess
from pathlib import Path

import torch

DTYPES = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i64": torch.int64,
    "i32": torch.int32,
    "u32": torch.int32,
}
# CUtensorMapDataType, CUlaunchAttributeID, CUfunction_attribute: the driver's numbers.
MAP_TYPES = {"u8": 0, "i32": 3, "i64": 5, "f16": 6, "f32": 7, "f64": 8, "bf16": 9}
COOPERATIVE, CLUSTER, DEPENDENT = 2, 4, 6
MAX_DYNAMIC_SHARED, NON_PORTABLE_CLUSTER = 8, 14


class Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_uint * 16)]


class Config(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(Attribute)),
        ("count", ctypes.c_uint),
    ]


@functools.lru_cache(maxsize=1)
def driver():
    return ctypes.CDLL("libcuda.so.1")


def call(name, *arguments, what=""):
    """One driver call; says which and why when it fails."""
    cuda = driver()
    code = getattr(cuda, name)(*arguments)
    if code != 0:
        text = ctypes.c_char_p()
        cuda.cuGetErrorName(code, ctypes.byref(text))
        raise RuntimeError(f"{name} {what}: {(text.value or b'?').decode()} ({code})")


def size(expr, params):
    """A size of the program format: a number, or text over params."""
    if isinstance(expr, int):
        return expr

    def value(node):
        if isinstance(node, ast.Constant):
            return int(node.value)
        if isinstance(node, ast.Name):
            return params[node.id]
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        if isinstance(node, ast.Call):
            a, b = (value(argument) for argument in node.args)
            return {"min": min(a, b), "max": max(a, b), "ceil_div": -(-a // b)}[node.func.id]
        a, b = value(node.left), value(node.right)
        operation = type(node.op).__name__
        if operation in ("Div", "Mod"):
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return quotient if operation == "Div" else a - quotient * b
        return {"Add": a + b, "Sub": a - b, "Mult": a * b}[operation]

    return value(ast.parse(expr, mode="eval").body)


def compile_cubin(folder, out, compiler="nvcc"):
    """Returns the compiler's report on registers and spills."""
    program = json.loads((Path(folder) / "program.json").read_text())
    arch = program["arch"].removeprefix("sm_")
    command = [
        compiler,
        "-std=c++17",
        f"-gencode=arch=compute_{arch},code=sm_{arch}",
        "-cubin",
        "-Xptxas",
        "-v",
        *[f"-D{name}={value}" for name, value in program.get("params", {}).items()],
        *program.get("flags", []),
        "-o",
        str(out),
        str(Path(folder) / program["source"]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError("nvcc: " + (done.stderr + done.stdout).strip()[:2000])
    return done.stderr + done.stdout


class Direct:
    """A program loaded from its folder and a cubin. `inputs` and `outputs` in the region's order, `weights` by name."""

    def __init__(self, folder, cubin, weights):
        self.program = json.loads((Path(folder) / "program.json").read_text())
        self.params = self.program.get("params", {})
        torch.cuda.current_stream().synchronize()  # PyTorch's context is current from here on
        self.module = ctypes.c_void_p()
        image = Path(cubin).read_bytes()
        call("cuModuleLoadData", ctypes.byref(self.module), image, what=str(cubin))
        self.kernels = {}
        self.weights = weights
        self.own = {}
        self.alive = []  # what launches point to
        for name, buffer in self.program["buffers"].items():
            if buffer["role"] in ("scratch", "packed", "sync"):
                shape = [size(extent, self.params) for extent in buffer["shape"]]
                self.own[name] = torch.zeros(shape, dtype=DTYPES[buffer["dtype"]], device="cuda")
        for launch in self.flatten(self.program.get("prepare", []), [], []):
            launch(torch.cuda.current_stream().cuda_stream)
        torch.cuda.synchronize()

    def bind(self, inputs, outputs):
        """Makes the list of launches for these tensors, each with the storages it reads and writes."""
        self.steps = self.flatten(self.program["run"], inputs, outputs)

    def run(self):
        stream = torch.cuda.current_stream().cuda_stream
        for step in self.steps:
            step(stream)

    def run_side_by_side(self, width=20):
        """As `run`, with steps that need not wait for one another on streams of their own: for capture."""
        main = torch.cuda.current_stream()
        streams = [torch.cuda.Stream() for _ in range(width)]
        start = torch.cuda.Event()
        start.record(main)
        for stream in streams:
            stream.wait_event(start)
        last_write, last_reads, next_stream = {}, {}, 0
        for step in self.steps:
            needs = [last_write[a] for a in step.reads + step.writes if a in last_write]
            for a in step.writes:
                needs += last_reads.get(a, [])
            if needs:
                stream = needs[0][0]
            else:
                stream, next_stream = streams[next_stream % width], next_stream + 1
            for other, event in needs:
                if other is not stream:
                    stream.wait_event(event)
            with torch.cuda.stream(stream):
                step(stream.cuda_stream)
            done = (stream, torch.cuda.Event())
            done[1].record(stream)
            for a in step.writes:
                last_write[a], last_reads[a] = done, []
            for a in step.reads:
                last_reads.setdefault(a, []).append(done)
        for stream in streams:
            done = torch.cuda.Event()
            done.record(stream)
            main.wait_event(done)

    def poison(self, byte):
        for name, tensor in self.own.items():
            if self.program["buffers"][name]["role"] == "scratch":
                tensor.view(torch.uint8).fill_(byte)

    def sync_is_zero(self):
        return all(
            not tensor.any() for name, tensor in self.own.items() if self.program["buffers"][name]["role"] == "sync"
        )

    def flatten(self, steps, inputs, outputs):
        names = dict(self.own)
        for name, buffer in self.program["buffers"].items():
            if buffer["role"] == "weight":
                names[name] = self.weights[buffer["name"]]
            elif buffer["role"] == "input" and inputs:
                names[name] = inputs[buffer["index"]]
            elif buffer["role"] == "output" and outputs:
                names[name] = outputs[buffer["index"]]
        out = []
        self._flatten(steps, names, 0, out)
        return out

    def _flatten(self, steps, names, counter, out):
        for step in steps:
            if "repeat" in step:
                inner = dict(names)
                for i in range(size(step["repeat"], self.params)):
                    self._flatten(step["body"], inner, i, out)
                    for a, b in step.get("swap", []):
                        inner[a], inner[b] = inner[b], inner[a]
            elif "copy" in step:
                out.append(_Copy(names[step["copy"]["from"]], names[step["copy"]["to"]]))
            elif "kernel" in step:
                out.append(self._launch(step, names, counter))
            else:
                raise RuntimeError(f"step {step} is unknown here")

    def _kernel(self, name):
        if name not in self.kernels:
            function = ctypes.c_void_p()
            call("cuModuleGetFunction", ctypes.byref(function), self.module, name.encode(), what=name)
            self.kernels[name] = function
        return self.kernels[name]

    def _launch(self, step, names, counter):
        values, reads, writes = [], [], []
        for argument in step["args"]:
            value, tensor, access = self._argument(argument, names, counter)
            values.append(value)
            if tensor is not None:
                key = tensor.data_ptr() if not isinstance(argument, dict) or "view" not in argument else value.value
                if access != "out":
                    reads.append(key)
                if access != "in":
                    writes.append(key)
        function = self._kernel(step["kernel"])
        extents = lambda key: ([size(e, self.params) for e in step.get(key, [])] + [1, 1, 1])[:3]  # noqa: E731
        if isinstance(step["grid"], dict):
            blocks = step["grid"]["resident_per_sm"] * torch.cuda.get_device_properties(0).multi_processor_count
            together = math.prod(extents("cluster"))
            grid = [blocks // together * together, 1, 1]
        else:
            grid = extents("grid")
        attributes = []
        if step.get("cooperative"):
            attributes.append((COOPERATIVE, [1]))
        if step.get("cluster"):
            attributes.append((CLUSTER, extents("cluster")))
        if step.get("pdl"):
            attributes.append((DEPENDENT, [1]))
        array = (Attribute * max(1, len(attributes)))()
        for slot, (kind, content) in zip(array, attributes, strict=False):
            slot.id = kind
            for i, number in enumerate(content):
                slot.value[i] = number
        shared = size(step.get("shared_bytes", 0), self.params)
        if shared > 48 << 10:
            call("cuFuncSetAttribute", function, MAX_DYNAMIC_SHARED, shared, what=step["kernel"])
        config = Config(
            (ctypes.c_uint * 3)(*grid),
            (ctypes.c_uint * 3)(*extents("block")),
            shared,
            None,
            array,
            len(attributes),
        )
        return _Launch(step["kernel"], function, config, values, reads, writes)

    def _argument(self, argument, names, counter):
        """(ctypes value, tensor or None, access)"""
        if isinstance(argument, str):
            return ctypes.c_void_p(names[argument].data_ptr()), names[argument], "in"
        for access in ("out", "inout"):
            if access in argument:
                tensor = names[argument[access]]
                return ctypes.c_void_p(tensor.data_ptr()), tensor, access
        access = argument.get("access", "in")
        if "view" in argument:
            view = argument["view"]
            tensor = names[view["buffer"]]
            offset = size(view.get("offset", 0), self.params) * tensor.element_size()
            return ctypes.c_void_p(tensor.data_ptr() + offset), tensor, access
        if "tensor_map" in argument:
            form = argument["tensor_map"]
            tensor = names[form["buffer"] if "buffer" in form else form["view"]["buffer"]]
            return self._tensor_map(form, tensor), tensor, access
        if "step" in argument:
            return (ctypes.c_int32 if argument["step"] == "i32" else ctypes.c_int64)(counter), None, ""
        kinds = {"i32": ctypes.c_int32, "i64": ctypes.c_int64, "f32": ctypes.c_float, "f64": ctypes.c_double}
        for kind, ctype in kinds.items():
            if kind in argument:
                number = argument[kind]
                return ctype(size(number, self.params) if kind[0] == "i" else float(number)), None, ""
        raise RuntimeError(f"argument {argument} is unknown here")

    def _tensor_map(self, form, tensor):
        numbers = lambda key: [size(e, self.params) for e in form.get(key, [])]  # noqa: E731
        shape = numbers("shape")
        rank = len(shape)
        view = form.get("view", {})
        origin = tensor.data_ptr() + size(view.get("offset", 0), self.params) * tensor.element_size()
        dtype = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32"}[tensor.dtype]
        raw = ctypes.create_string_buffer(192)
        address = (ctypes.addressof(raw) + 63) & ~63
        self.alive.append(raw)
        steps = numbers("element_strides") or [1] * rank
        head = [
            ctypes.c_void_p(address),
            MAP_TYPES[form.get("dtype", dtype)],
            ctypes.c_uint32(rank),
            ctypes.c_void_p(origin),
            (ctypes.c_uint64 * rank)(*shape),
            (ctypes.c_uint64 * max(1, rank - 1))(*numbers("strides_bytes")),
        ]
        tail = [
            (ctypes.c_uint32 * rank)(*steps),
            ["none", "16B", "32B"].index(form.get("interleave", "none")),
            ["none", "32B", "64B", "128B"].index(form.get("swizzle", "none")),
            ["none", "64B", "128B", "256B"].index(form.get("l2_promotion", "none")),
            ["zero", "nan"].index(form.get("fill", "zero")),
        ]
        if "im2col_lower" in form:
            lower, upper = numbers("im2col_lower"), numbers("im2col_upper")
            middle = [
                (ctypes.c_int * len(lower))(*lower),
                (ctypes.c_int * len(upper))(*upper),
                ctypes.c_uint32(size(form["channels_per_pixel"], self.params)),
                ctypes.c_uint32(size(form["pixels_per_column"], self.params)),
            ]
            call("cuTensorMapEncodeIm2col", *head, *middle, *tail, what="tensor map")
        else:
            call("cuTensorMapEncodeTiled", *head, (ctypes.c_uint32 * rank)(*numbers("box")), *tail, what="tensor map")
        return (ctypes.c_ubyte * 128).from_address(address)


class _Copy:
    def __init__(self, source, to):
        self.source, self.to = source, to
        self.reads, self.writes = [source.data_ptr()], [to.data_ptr()]

    def __call__(self, stream):
        bytes_ = self.source.numel() * self.source.element_size()
        call(
            "cuMemcpyDtoDAsync_v2",
            ctypes.c_uint64(self.to.data_ptr()),
            ctypes.c_uint64(self.source.data_ptr()),
            ctypes.c_size_t(bytes_),
            ctypes.c_void_p(stream),
        )


class _Launch:
    def __init__(self, name, function, config, values, reads, writes):
        self.name, self.function, self.config, self.values = name, function, config, values
        self.reads, self.writes = reads, writes
        self.pointers = (ctypes.c_void_p * max(1, len(values)))(*[ctypes.addressof(value) for value in values])

    def __call__(self, stream):
        self.config.stream = stream
        call("cuLaunchKernelEx", ctypes.byref(self.config), self.function, self.pointers, None, what=self.name)
