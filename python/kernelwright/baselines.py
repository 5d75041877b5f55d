# SPDX-License-Identifier: Apache-2.0
"""What a candidate has to beat: eager and torch.compile on the same content, timed alike."""

import contextlib
import ctypes
import gc
import os
import threading
import time

import torch

from kernelwright import device as devices
from kernelwright import device_timing
from kernelwright import policy as policies
from kernelwright.errors import InputError, last_line

NAMES = ("eager", "compile", "max-autotune", "cuda-graph")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4


class Flush:
    """Reads a buffer larger than the last-level cache, so that the caches hold it and nothing else. Only reads: written
    lines would have to go back to memory during the timed call, and a large memset passes the caches by. On this
    thread alone, so that PyTorch's workers stay asleep. The bench worker does the same (`BenchWorker::flush`)."""

    def __init__(self, size: int):
        # Not zeros: untouched pages would all be one page of zeros.
        self._half = max(0, size) // 2
        self._buffer = torch.full((2 * self._half,), 1, dtype=torch.uint8)
        self._compare = ctypes.CDLL(None).memcmp
        self._compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

    def __call__(self) -> None:
        begin = self._buffer.data_ptr()
        if self._half and self._compare(begin, begin + self._half, self._half) != 0:
            raise AssertionError("the flush buffer has changed")


def settle(deadline_s: float = 0.1) -> None:
    """Waits until the other threads of this process sleep: OpenMP's workers spin for milliseconds after a parallel
    region and would take a core from whatever is timed next. Gives up at the deadline."""
    end = time.perf_counter() + deadline_s
    mine = str(threading.get_native_id())
    while time.perf_counter() < end:
        for task in os.listdir("/proc/self/task"):
            if task != mine and _runs(task):
                break
        else:
            return


def _runs(task: str) -> bool:
    with contextlib.suppress(OSError):
        with open(f"/proc/self/task/{task}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "R"
    return False


def set_memory(warm: bool) -> None:
    """Whether freed memory stays with the process (warm) or every large result gets fresh pages (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        if warm:
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
            libc.mallopt(_M_TOP_PAD, 64 << 20)
        else:
            libc.mallopt(_M_MMAP_MAX, 65536)
            libc.mallopt(_M_MMAP_THRESHOLD, 128 << 10)
            libc.mallopt(_M_TRIM_THRESHOLD, 128 << 10)
            libc.malloc_trim(0)


@contextlib.contextmanager
def quiet():
    """No garbage collection in the middle of a sample."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def timed_call(function, args, kwargs) -> float:
    """Milliseconds of one call. The result is freed after the clock has stopped."""
    begin = time.perf_counter_ns()
    result = function(*args, **kwargs)
    end = time.perf_counter_ns()
    del result
    return (end - begin) / 1e6


def cold_call(function, args, kwargs, flush, wake=None) -> float:
    """Milliseconds of one call with cold caches and awake threads.

    Everybody else's threads are asleep; the function's own are awake, as in a program that calls one module after
    another: an untimed call wakes them, and they spin for longer than the flush takes. On a virtual machine a
    sleeping thread can take ten milliseconds to wake. `wake` is for threads that do not spin that long.
    """
    settle()
    function(*args, **kwargs)
    flush()
    if wake is not None:
        wake()
    return timed_call(function, args, kwargs)


def compiler_is_off():
    """Whether torch.compile would hand back what it is given, by PyTorch's own switch."""
    return os.environ.get("TORCHDYNAMO_DISABLE") == "1"


class Baselines:
    """The baselines of one subject."""

    def __init__(self, drawer):
        self._drawer = drawer
        self._ready = {}
        self._notes = {}
        self._flush = (None, -1)

    def prepare(self, name: str) -> dict:
        if name not in NAMES:
            return {"available": False, "note": f"unknown baseline '{name}'", "seconds": 0.0}
        begin = time.perf_counter()
        if name not in self._ready and name not in self._notes:
            self._make(name)
        return {
            "available": name in self._ready,
            "note": self._notes.get(name, ""),
            "seconds": time.perf_counter() - begin,
        }

    def _make(self, name):
        subject = self._drawer.subject
        function, arguments = subject.timed()
        try:
            if name == "cuda-graph" or (name == "max-autotune" and subject.device.type == "cuda"):
                self._ready[name] = (self._captured(name, function, arguments), arguments)
                return
            if name != "eager":
                if compiler_is_off():
                    raise InputError("switched off by TORCHDYNAMO_DISABLE")
                function = torch.compile(function, mode=None if name == "compile" else name)
            contents = self._drawer.contents()[:2]
            with torch.inference_mode(), policies.context(subject.policy, subject.device.type):
                for inputs in contents:
                    args, kwargs = arguments(inputs)
                    function(*args, **kwargs)
        except Exception as error:  # whatever the compiler does is a note, never our failure
            if name == "eager":
                raise
            self._notes[name] = f"failed: {last_line(error)}"
            return
        self._ready[name] = (function, arguments)

    def _captured(self, name, function, arguments):
        """Eager, or what max-autotune makes, in a CUDA graph."""
        subject = self._drawer.subject
        if subject.device.type != "cuda":
            raise InputError("CUDA graphs need a GPU")
        contents = self._drawer.contents()
        if devices.size_of(contents[0]) > devices.LARGE:
            raise InputError("inputs of gigabytes are not copied into a CUDA graph")
        args, kwargs = arguments(contents[0])
        with torch.inference_mode(), policies.context(subject.policy, "cuda"):
            if name == "max-autotune":  # its own graphs would copy inputs inside the call
                function = torch.compile(function, mode="max-autotune-no-cudagraphs")
                for _ in range(2):
                    function(*args, **kwargs)
            return device_timing.Captured(function, args, kwargs, subject.device)

    def time(self, name: str, calls: int, flush_bytes: int) -> dict:
        """{"ms": [...]}, on a GPU also "latency_ms"."""
        if not self.prepare(name)["available"]:
            raise InputError(f"baseline '{name}' is not available", note=self._notes.get(name, ""))
        function, arguments = self._ready[name]
        subject = self._drawer.subject
        if self._flush[1] != flush_bytes:
            make = (
                Flush if subject.device.type == "cpu" else lambda size: device_timing.DeviceTimer(subject.device, size)
            )
            self._flush = (None, -1)
            self._flush = (make(flush_bytes), flush_bytes)
        flush = self._flush[0]
        packed = [arguments(inputs) for inputs in self._drawer.contents()]
        out = []
        set_memory(warm=True)
        with quiet(), torch.inference_mode(), policies.context(subject.policy, subject.device.type):
            if subject.device.type == "cuda":
                return self._time_on_device(flush, function, packed, max(0, calls))
            for call in range(max(0, calls)):
                args, kwargs = packed[call % len(packed)]
                out.append(cold_call(function, args, kwargs, flush))
        return {"ms": out}

    @staticmethod
    def _time_on_device(timer, function, packed, calls):
        def before(args, kwargs):
            return (lambda: function.place(args, kwargs)) if isinstance(function, device_timing.Captured) else None

        for args, kwargs in packed[:2]:  # the allocator's blocks are there
            timer.device_ms(function, args, kwargs, before(args, kwargs))
        ms, latency = [], []
        for call in range(calls):
            args, kwargs = packed[call % len(packed)]
            ms.append(timer.device_ms(function, args, kwargs, before(args, kwargs)))
            if len(latency) < device_timing.LATENCIES:
                latency.append(timer.latency_ms(function, args, kwargs, before(args, kwargs)))
        return {"ms": ms, "latency_ms": latency}
