# SPDX-License-Identifier: Apache-2.0
"""Checks the CUDA runtime on a GPU and prints a table; needs PyTorch, nvcc and the built runtime library.

    PYTHONPATH=python python tests/cuda/runtime_check.py [--calls N]

Every check runs small kernels (runtime_check.cu) through python/kernelwright/native.py and compares with the known answer,
once as a graph and once launch by launch. Then: host time per call, and memory before and after N calls (100,000)."""

import argparse
import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import torch

from kernelwright import native

HERE = Path(__file__).resolve().parent
N = 1000


def build(folder):
    """The cubin of runtime_check.cu for this GPU."""
    major, minor = torch.cuda.get_device_capability()
    arch = f"{major}{minor}" + ("a" if major >= 9 else "")
    cubin = Path(folder) / "runtime_check.cubin"
    gencode = f"-gencode=arch=compute_{arch},code=sm_{arch}"
    subprocess.run(["nvcc", "-std=c++20", "-cubin", gencode, "-o", cubin, HERE / "runtime_check.cu"], check=True)
    return cubin


def launch(kernel, *args, grid=(4,), block=(256,), **keys):
    return {"kernel": kernel, "grid": grid, "block": block, "args": list(args), **keys}


def add(source, to, value):
    return launch("add_value", source, {"out": to}, {"f32": value}, {"i32": N})


def tensor(role, shape=(N,), dtype="f32", **keys):
    return {"role": role, "dtype": dtype, "shape": list(shape), **keys}


X, Y = tensor("input", index=0), tensor("output", index=0)


class Opened:
    """A program on the present stream, with tensors instead of addresses."""

    def __init__(self, cubin, buffers, run, prepare=(), **keys):
        text = {"format": 1, "target": "cuda", "source": "k.cu", "buffers": buffers, "run": run, **keys}
        if prepare:
            text["prepare"] = list(prepare)
        self.program = native.Program(json.dumps(text), cubin)

    def prepare(self, *weights):
        self.program.prepare([w.data_ptr() for w in weights], stream=torch.cuda.current_stream().cuda_stream)

    def __call__(self, inputs, outputs, scalars=None, states=()):
        stream = torch.cuda.current_stream().cuda_stream
        ins, outs, held = ([t.data_ptr() for t in group] for group in (inputs, outputs, states))
        self.program.run(ins, outs, held, scalars, stream=stream)


def equal(found, wanted, what=""):
    if not torch.equal(found, wanted):
        wrong = int((found != wanted).flatten().to(torch.uint8).argmax())
        raise AssertionError(
            f"{what}: {int((found != wanted).sum())} of {found.numel()} wrong, first {wrong}: "
            f"{found.flatten()[wrong].item()} instead of {wanted.flatten()[wrong].item()}"
        )


def numbers(*shape):
    return torch.randint(-50, 50, shape or (N,), device="cuda").float()


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def arguments(cubin):
    """every kind of argument, in order"""
    program = Opened(
        cubin, {"x": X, "y": Y}, [launch("wide", "x", {"out": "y"}, {"i64": -5}, {"f64": 0.5}, {"i32": N})]
    )
    x, y = numbers(), numbers()
    program([x], [y])
    equal(y, x - 4.5)


@check
def graph_of_branches(cubin):
    """a diamond and 200 branches; new addresses and scalars in the graph's nodes"""
    buffers = {"x": X, "y": Y, "h": tensor("scratch"), "g": tensor("scratch")}
    scalar = launch("add_value", "x", {"out": "g"}, {"scalar_input": 0, "dtype": "f32"}, {"i32": N})
    meet = launch("mix", "h", "g", {"out": "y"}, {"i32": N})
    program = Opened(cubin, buffers, [add("x", "h", 1), scalar, meet])
    for round_ in range(4):
        x, y = numbers(), numbers()
        for value in (2.0, 3.0, 3.0):
            program([x], [y], scalars=[value])
            equal(y, x + 1 + 10 * (x + value), f"round {round_}")
    buffers = {"x": X, "y": tensor("output", (200, N), index=0)}
    buffers |= {f"h{i}": tensor("scratch") for i in range(200)}
    run = [add("x", f"h{i}", i) for i in range(200)]
    for i in range(200):
        place = {"view": {"buffer": "y", "offset": i * N, "shape": [N]}, "access": "out"}
        run.append(launch("add_value", f"h{i}", place, {"f32": 1}, {"i32": N}))
    program = Opened(cubin, buffers, run)
    x, y = numbers(), numbers(200, N)
    for _ in range(3):
        program([x], [y])
    equal(y, x[None, :] + torch.arange(1, 201, device="cuda")[:, None])


@check
def moves(cubin):
    """fills and copies: contiguous, strided, eight bytes wide"""
    buffers = {
        "x": tensor("input", (40, 60), index=0),
        "y": tensor("output", (40, 60), index=0),
        "t": tensor("output", (60, 40), index=1),
        "z": tensor("output", (300,), "f64", index=2),
        "w": tensor("output", (40, 60), index=3),
        "b": tensor("output", (101,), "bf16", index=4),
    }
    run = [
        {"fill": {"buffer": "y", "value": 2.5}},
        {"fill": {"view": {"buffer": "y", "offset": 1, "shape": [40, 2], "strides": [60, 30]}, "value": -1}},
        {"copy": {"from": {"view": {"buffer": "x", "shape": [60, 40], "strides": [1, 60]}}, "to": "t"}},
        {"fill": {"buffer": "z", "value": 0.1}},
        {"copy": {"from": "x", "to": "w"}},
        {"fill": {"buffer": "b", "value": 1.5}},
    ]
    program = Opened(cubin, buffers, run)
    for round_ in range(3):
        x = numbers(40, 60)
        y, t, w = numbers(40, 60), numbers(60, 40), numbers(40, 60)
        z, b = (
            torch.zeros(300, dtype=torch.float64, device="cuda"),
            torch.zeros(101, dtype=torch.bfloat16, device="cuda"),
        )
        program([x], [y, t, z, w, b])
        wanted = torch.full_like(y, 2.5)
        wanted[:, [1, 31]] = -1
        for found, right, what in ((y, wanted, "y"), (t, x.T, "t"), (z, torch.full_like(z, 0.1), "z"), (w, x, "w")):
            equal(found, right, f"{what}, round {round_}")
        equal(b, torch.full_like(b, 1.5), "b")
    rebuilds = program.program.describe()["rebuilds"]
    if rebuilds:
        raise AssertionError(f"the graph was built anew {rebuilds} times: nodes could not be changed in place")


@check
def repeat_and_swap(cubin):
    """512 steps with counters and swapped buffers, twice"""
    buffers = {"x": X, "y": Y, "h": tensor("scratch"), "g": tensor("scratch")}
    body = [launch("step", "h", {"out": "g"}, {"step": "i32"}, {"i32": N})]
    run = [add("x", "h", 0), {"repeat": 511, "body": body, "swap": [["h", "g"]]}, add("h", "y", 0)]
    program = Opened(cubin, buffers, run)
    for _ in range(2):
        x, y = numbers(), numbers()
        program([x], [y])
        wanted = x.clone()
        for i in range(511):
            wanted = 0.5 * wanted + i
        equal(y, wanted)


@check
def prepare_and_state(cubin):
    """packed weights, an unaligned weight, a table, a state"""
    buffers = {
        "x": X,
        "y": Y,
        "w": tensor("weight", name="w"),
        "p": tensor("packed"),
        "t": {"role": "table", "dtype": "f32", "values": [i % 7 for i in range(N)]},
        "s": tensor("state", name="s"),
    }
    state = {"view": {"buffer": "s", "shape": [N]}, "access": "inout"}
    run = [launch("mix", "x", "p", {"out": "y"}, {"i32": N}), launch("mix", "x", "t", state, {"i32": N})]
    program = Opened(cubin, buffers, run, prepare=[add("w", "p", 1)])
    table = torch.arange(N, device="cuda") % 7
    room = numbers(N + 1)
    for w in (room[:N], room[1:]):
        x, y, s = numbers(), numbers(), numbers()
        program.prepare(w)
        program([x], [y], states=[s])
        equal(y, x + 10 * (w + 1), "y")
        equal(s, x + 10 * table, "state")


@check
def shared_memory(cubin):
    """200 KB of dynamic shared memory"""
    bytes_ = min(200 << 10, torch.cuda.get_device_properties(0).shared_memory_per_block_optin)
    step = launch("much_shared", "x", {"out": "y"}, {"i32": bytes_}, {"i32": N}, grid=(1,), shared_bytes=bytes_)
    program = Opened(cubin, {"x": X, "y": Y}, [step])
    x, y = numbers(), numbers()
    program([x], [y])
    equal(y, x + 3)


@check
def resident_grids(cubin):
    """a grid barrier: cooperative, resident_per_sm; sync is zero again; alone beside branches"""
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    buffers = {"c": tensor("sync", (2,), "u32"), "y": tensor("output", (2 * sms,), index=0)}
    for keys, blocks in (({"grid": (sms,), "cooperative": True}, sms), ({"grid": {"resident_per_sm": 2}}, 2 * sms)):
        step = launch("meet", {"inout": "c"}, {"out": "y"}, **keys)
        program = Opened(cubin, buffers, [step] * 5)
        y = torch.zeros(2 * sms, device="cuda")
        for _ in range(3):
            program([], [y])
        equal(y[:blocks], torch.full((blocks,), float(blocks), device="cuda"))
        if not program.program.sync_is_zero(torch.cuda.current_stream().cuda_stream):
            raise AssertionError("sync is not zero")


@check
def clusters(cubin):
    """clusters of 4, 16 (not portable) and resident ones"""
    y = torch.zeros(4096, device="cuda")
    for size, grid in ((4, (64,)), (16, (64,)), (2, {"resident_per_sm": 1})):
        step = launch("cluster_rank", {"out": "y"}, grid=grid, cluster=(size,))
        program = Opened(cubin, {"y": tensor("output", (4096,), index=0)}, [step])
        y.zero_()
        program([], [y])
        blocks = 64 if isinstance(grid, tuple) else int((y > 0).sum())
        wanted = 100.0 * size + torch.arange(blocks, device="cuda") % size
        equal(y[:blocks], wanted, f"cluster {size}")
        if blocks % size or blocks < 64:
            raise AssertionError(f"{blocks} resident blocks in clusters of {size}")


@check
def dependent_launches(cubin):
    """pdl: the second launch starts early and waits for the first"""
    buffers = {"x": X, "y": Y, "h": tensor("scratch"), "g": tensor("scratch"), "k": tensor("scratch")}
    run = [launch("slow_write", "x", {"out": "h"}, {"i32": N})]
    run += [launch("wait_then_add", "h", {"out": "g"}, {"i32": N}, pdl=True)]
    run += [launch("slow_write", "g", {"out": "k"}, {"i32": N}, pdl=True)]
    run += [launch("wait_then_add", "k", {"out": "y"}, {"i32": N}, pdl=True)]
    program = Opened(cubin, buffers, run)
    for _ in range(5):
        x, y = numbers(), numbers()
        program.program.poison_scratch(0x7F, torch.cuda.current_stream().cuda_stream)
        program([x], [y])
        equal(y, 2 * (2 * x + 1) + 1)


@check
def tensor_maps(cubin):
    """a tile through the tensor map; addresses that change"""
    source = {"buffer": "x", "shape": [64, 64], "box": [32, 16]}
    step = launch("load_tile", {"tensor_map": source}, {"out": "y"}, grid=(1,), block=(128,))
    buffers = {"x": tensor("input", (64, 64), index=0), "y": tensor("output", (16, 32), index=0)}
    for copies in (1, 3):
        program = Opened(cubin, buffers, [step] * copies)
        for _ in range(6):
            x, y = numbers(64, 64), numbers(16, 32)
            program([x], [y])
            equal(y, x[16:32, 32:64])


@check
def streams_and_threads(cubin):
    """side streams, another thread, a capture of the caller's"""
    buffers = {"x": X, "y": Y, "h": tensor("scratch"), "g": tensor("scratch")}
    program = Opened(
        cubin, buffers, [add("x", "h", 1), add("x", "g", 2), launch("mix", "h", "g", {"out": "y"}, {"i32": N})]
    )
    sides = [torch.cuda.Stream() for _ in range(3)]
    pairs = [(numbers(), numbers()) for _ in range(30)]
    torch.cuda.synchronize()
    for i, (x, y) in enumerate(pairs):
        with torch.cuda.stream(sides[i % 3]):
            program([x], [y])
    torch.cuda.synchronize()
    for x, y in pairs:
        equal(y, x + 1 + 10 * (x + 2), "streams")
    failures = []

    def work():
        try:
            for x, y in pairs:
                y.zero_()
                program([x], [y])
                equal(y, x + 1 + 10 * (x + 2), "thread")
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    x, y = numbers(), numbers()
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        program([x], [y])
    y.zero_()
    for _ in range(3):
        x.copy_(numbers())
        captured.replay()
        equal(y, x + 1 + 10 * (x + 2), "captured")
    program([x], [y])
    equal(y, x + 1 + 10 * (x + 2), "after the capture")


@check
def errors(cubin):
    """what cannot run is refused in one line"""
    cases = (
        ("takes 4 parameters", launch("add_value", {"out": "y"})),
        ("takes 4 bytes as parameter 2", launch("add_value", "x", {"out": "y"}, {"f64": 1}, {"i32": N})),
        ("no kernel 'absent'", launch("absent", {"out": "y"})),
        ("of shared memory", {**add("x", "y", 1), "shared_bytes": 250000}),
        ("cooperative launch of", {**add("x", "y", 1), "grid": [1000000], "cooperative": True}),
    )
    for words, step in cases:
        try:
            Opened(cubin, {"x": X, "y": Y}, [step])
        except Exception as error:  # noqa: BLE001
            if words not in str(error):
                raise AssertionError(f"expected '{words}', got: {error}") from None
        else:
            raise AssertionError(f"not refused: {words}")


def host_times(cubin):
    """[(what, microseconds per call on the host, microseconds per call on the device)]"""
    lib = native.runtime()
    rows = []

    def measure(what, program, pairs, calls=2000):
        stream = torch.cuda.current_stream().cuda_stream
        pointer = ctypes.c_void_p * 1
        sets = [(pointer(x.data_ptr()), pointer(y.data_ptr())) for x, y in pairs]
        handle, run = program.program._handle, lib.kw_run_on
        host = []
        for warm in (True, False):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            device = 0.0
            for batch in range(2 if warm else calls // 20):
                torch.cuda.synchronize()
                begin.record()
                start = time.perf_counter_ns()
                for i in range(20):
                    ins, outs = sets[i % len(sets)]
                    if run(handle, ins, outs, None, None, stream) != 0:
                        raise RuntimeError(lib.kw_last_error().decode())
                if not warm:
                    host.append((time.perf_counter_ns() - start) / 20e3)
                end.record()
                end.synchronize()
                device += begin.elapsed_time(end) * 1e3 / 20
            batches = batch + 1
        rows.append((what, sorted(host)[len(host) // 2], device / batches))

    def chain(count):
        buffers = {"x": X, "y": Y} | {f"h{i}": tensor("scratch") for i in range(count)}
        names = ["x"] + [f"h{i}" for i in range(count - 1)] + ["y"]
        return Opened(cubin, buffers, [add(a, b, 1) for a, b in zip(names[:-1], names[1:], strict=True)])

    one = [(numbers(), numbers())]
    several = [(numbers(), numbers()) for _ in range(4)]
    start = time.perf_counter_ns()
    for _ in range(10000):
        lib.kw_get_threads()
    rows.append(("a call through ctypes", (time.perf_counter_ns() - start) / 10e6, 0.0))
    measure("1 launch", chain(1), one)
    measure("10 launches, a graph", chain(10), one)
    measure("10 launches, new addresses every call", chain(10), several)
    os.environ["KERNELWRIGHT_CUDA_GRAPHS"] = "never"
    measure("10 launches, one by one", chain(10), one)
    measure("3 launches, one by one", chain(3), one)
    measure("2 launches, one by one", chain(2), one)
    del os.environ["KERNELWRIGHT_CUDA_GRAPHS"]
    measure("3 launches, a graph", chain(3), one)
    measure("200 launches, a graph", chain(200), one)
    return rows


def growth(cubin, calls):
    """(device bytes, host bytes) that `calls` calls leave behind."""
    buffers = {"x": X, "y": Y, "h": tensor("scratch"), "g": tensor("scratch")}
    program = Opened(cubin, buffers, [add("x", "h", 1), add("h", "g", 1), add("g", "y", 1)])
    pairs = [(numbers(), numbers()) for _ in range(6)]

    def some(count):
        for i in range(count):
            program([pairs[i % 6][0]], [pairs[i % 5][1]])
            if i % 100 == 0:
                torch.cuda.synchronize()
        torch.cuda.synchronize()
        gc.collect()

    some(1000)
    before = torch.cuda.mem_get_info()[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    some(calls)
    after = torch.cuda.mem_get_info()[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return before[0] - after[0], (after[1] - before[1]) * 1024


def run_checks(cubin):
    """[(check, way, what went wrong or '')]; a check that fails with a sticky error ends the rest."""
    rows = []
    for function in CHECKS:
        for way, value in (("graph", ""), ("plain", "never")):
            os.environ["KERNELWRIGHT_CUDA_GRAPHS"] = value
            try:
                function(cubin)
                torch.cuda.synchronize()
                rows.append((function, way, ""))
            except Exception as error:  # noqa: BLE001
                rows.append((function, way, f"{type(error).__name__}: {error}".split("\n")[0]))
                if os.environ.get("KW_CHECK_TRACE"):
                    traceback.print_exc()
    del os.environ["KERNELWRIGHT_CUDA_GRAPHS"]
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the memory check")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU: PyTorch sees none")
    torch.cuda.init()
    torch.zeros(1, device="cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, runtime {native.runtime_path()}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        cubin = build(folder)
        for function, way, error in run_checks(cubin):
            failed += bool(error)
            print(f"{'FAILED' if error else 'ok':7} {function.__name__:22} {way:6} {error or function.__doc__}")
        if not failed:
            print(f"\n{'per call':42} {'host us':>8} {'device us':>10}")
            for what, host, device in host_times(cubin):
                print(f"{what:42} {host:8.2f} {device:10.2f}")
            device, host = growth(cubin, options.calls)
            print(f"\n{options.calls} calls leave {device} bytes on the device and {host} on the host")
            failed += device > 0 or host > 8 << 20
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
