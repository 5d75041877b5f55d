# SPDX-License-Identifier: Apache-2.0
"""The worker's part of torch_check.py: this process is the coordinator, owns device memory and asks a worker to draw into
it (docs/torch-worker.md, "On a GPU")."""

import ctypes
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import torch

from kernelwright import channel, device_memory, placed_oracle

ROOT = Path(__file__).resolve().parents[2]
ROWS, COLS = 4096, 1024
SMALL = f"""import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand({COLS}) + 0.5)
    def forward(self, x):
        return torch.tanh(torch.relu(x) * self.scale)
def get_inputs():
    return [torch.randn({ROWS}, {COLS})]
"""
LARGE_SHAPE = (24414, 65536)  # 6.4 GB
LARGE = f"""import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2.0
def get_inputs():
    return [torch.rand{LARGE_SHAPE}]
"""
FLUSH = 100 << 20


class _Properties(ctypes.Structure):  # CUmemAllocationProp
    _fields_ = [
        ("type", ctypes.c_int),
        ("handle_types", ctypes.c_int),
        ("location_type", ctypes.c_int),
        ("location_id", ctypes.c_int),
        ("win32", ctypes.c_void_p),
        ("compression", ctypes.c_ubyte),
        ("rdma", ctypes.c_ubyte),
        ("usage", ctypes.c_ushort),
        ("reserved", ctypes.c_ubyte * 4),
    ]


class Arena:
    """Device memory of this process with a descriptor, mapped here as well."""

    GRAIN = 2 << 20

    def __init__(self, number, size):
        torch.cuda.init()
        torch.zeros(1, device="cuda")  # the context is current
        self.number, self.size, self.used = number, -(-size // self.GRAIN) * self.GRAIN, 0
        driver = ctypes.CDLL("libcuda.so.1")
        handle, fd = ctypes.c_uint64(), ctypes.c_int(-1)
        properties = _Properties(type=1, handle_types=1, location_type=1, location_id=0)
        code = driver.cuMemCreate(
            ctypes.byref(handle), ctypes.c_size_t(self.size), ctypes.byref(properties), ctypes.c_uint64(0)
        )
        assert code == 0, f"cuMemCreate: {code}"
        code = driver.cuMemExportToShareableHandle(ctypes.byref(fd), handle, 1, ctypes.c_uint64(0))
        assert code == 0, f"cuMemExportToShareableHandle: {code}"
        driver.cuMemRelease(handle)
        self.fd = fd.value
        self.memories = device_memory.Memories()
        self.memories.map(number, [self.size], [self.fd], torch.device("cuda", 0))

    def place(self, dtype, shape):
        offset, self.used = self.used, self.used + -(-torch.Size(shape).numel() * dtype.itemsize // 256) * 256
        assert self.used <= self.size
        return [self.number, 0, offset]

    def read(self, place, dtype, shape):
        return self.memories.view(place, dtype, shape)


class Worker:
    def __init__(self):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kernelwright.worker", "--fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        )
        theirs.close()
        self.channel = channel.Channel(ours)

    def ask(self, op, fds=(), **fields):
        self.channel.send({"op": op, **fields}, fds)
        reply, received = self.channel.receive()
        for fd in received:
            os.close(fd)
        assert reply["ok"], reply
        return reply

    def open(self, source, folder):
        folder.mkdir()
        (folder / "w.py").write_text(source)
        fields = {"init": "", "inputs": "", "size": "gpu", "policy": "strict", "target": "cuda"}
        self.ask("hello", threads=0)
        self.ask("import", path=str(folder / "w.py"), out=str(folder), **fields)

    def map(self, arena):
        self.ask("map", [arena.fd], id=arena.number, device=0, segments=[arena.size])

    def stop(self):
        self.ask("stop")
        self.process.wait(30)


def median(values):
    return sorted(values)[len(values) // 2]


def check_worker(folder):
    worker = Worker()
    worker.open(SMALL, folder / "small")
    shape, row = (ROWS, COLS), (COLS,)
    arena = Arena(1, 6 * ROWS * COLS * 4)
    worker.map(arena)
    side = placed_oracle.side_dtype(torch.float32)
    entry = {"index": 0, "eager": arena.place(torch.float32, shape)}
    entry |= {key: arena.place(side, shape) for key in ("delta", "scale")}
    places = {
        "inputs": [arena.place(torch.float32, shape)],
        "weights": {"scale": arena.place(torch.float32, row)},
        "states": {},
        "answers": [entry],
    }
    said = []
    for kind in ("own", "negative", "wide", "zeros", "constant", "weights", "exact"):
        begin = time.perf_counter()
        reply = worker.ask("draw", region="whole", kind=kind, seed=11, places=places)
        took = (time.perf_counter() - begin) * 1e3
        said.append(f"{kind} skipped" if "skipped" in reply else f"{kind} {took:.0f} ms")
        if "skipped" in reply:
            continue
        x = arena.read(places["inputs"][0], torch.float32, shape)
        w = arena.read(places["weights"]["scale"], torch.float32, row)
        eager, delta, scale = (arena.read(entry[k], torch.float32, shape) for k in ("eager", "delta", "scale"))
        torch.testing.assert_close(eager, torch.tanh(torch.relu(x) * w), rtol=1e-6, atol=1e-7)
        oracle = torch.tanh(torch.relu(x.double()) * w.double())
        judged = torch.isfinite(scale)
        torch.testing.assert_close((eager.double() + delta)[judged], oracle[judged], rtol=1e-9, atol=1e-30)
        assert bool((scale[judged] >= 2.0**-24 * oracle[judged].abs() * 0.999).all()), "scale below the unit"
    worker.ask("draw", region="whole", kind="own", seed=12, places=places)
    for name in ("eager", "compile", "max-autotune", "cuda-graph"):
        ready = worker.ask("baseline", region="whole", name=name)
        assert ready["available"], f"{name}: {ready['note']}"
        reply = worker.ask("time", region="whole", name=name, calls=20, flush_bytes=FLUSH)
        ms, latency = median(reply["ms"]), median(reply["latency_ms"])
        assert 0 < ms < latency, f"{name}: {ms} ms of {latency}"
        said.append(f"{name} {ms * 1e3:.1f} us (latency {latency * 1e3:.1f})")
    worker.ask("unmap", ids=[1])
    worker.ask("release")
    worker.stop()
    return "; ".join(said)


def check_large(folder):
    worker = Worker()
    worker.open(LARGE, folder / "large")
    arenas = [Arena(n, LARGE_SHAPE[0] * LARGE_SHAPE[1] * 4) for n in range(4)]
    for arena in arenas:
        worker.map(arena)
    entry = {"index": 0, **{key: [n + 1, 0, 0] for n, key in enumerate(("eager", "delta", "scale"))}}
    places = {"inputs": [[0, 0, 0]], "weights": None, "states": {}, "answers": [entry]}
    begin = time.perf_counter()
    worker.ask("draw", region="whole", kind="own", seed=3, places=places)
    took = time.perf_counter() - begin
    x, eager, delta, scale = (a.read([a.number, 0, 0], torch.float32, LARGE_SHAPE)[-8:] for a in arenas)
    oracle = torch.relu(x.double()) * 2
    torch.testing.assert_close(eager.double() + delta, oracle, rtol=1e-12, atol=0)
    assert bool((scale >= 2.0**-24 * oracle * 0.999).all()), "scale below the unit"
    times = worker.ask("time", region="whole", name="eager", calls=5, flush_bytes=FLUSH)["ms"]
    worker.ask("unmap", ids=[0, 1, 2, 3])
    worker.stop()
    return f"drawn in {took:.1f} s; eager {median(times):.2f} ms"
