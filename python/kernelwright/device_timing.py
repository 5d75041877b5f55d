# SPDX-License-Identifier: Apache-2.0
"""Cold timed calls on a GPU: device time with the launch hidden, and latency with it (docs/torch-worker.md)."""

import contextlib
import time

import torch

from kernelwright.device_memory import Driver
from kernelwright.errors import EnvironmentError_

TRIES = 4  # behind longer and longer delays
LATENCIES = 8  # samples of latency per request: one number for a report
_LONGEST_DELAY_S = 0.2


class DeviceTimer:
    """Times calls on the current stream of one GPU."""

    def __init__(self, device, flush_bytes: int):
        self._device = device
        self._buffer = torch.empty(max(0, flush_bytes), dtype=torch.uint8, device=device)
        self._value = 0
        properties = torch.cuda.get_device_properties(device)
        self._cycles_per_s = 1e3 * getattr(properties, "clock_rate", 0) or 2.0e9  # of the delay; rather too many
        self._delay_s = 100e-6
        self.dropped = 0  # samples whose launch was not hidden

    def flush(self) -> None:
        """Nothing of the call's data is left in the L2. On the stream."""
        with contextlib.suppress(EnvironmentError_):
            Driver.get().call("cuCtxResetPersistingL2Cache")
        if self._buffer.numel():
            self._value = (self._value + 1) & 255
            self._buffer.fill_(self._value)

    def device_ms(self, function, args, kwargs, before=None) -> float:
        """`before` runs ahead of the flush: what belongs to the sample's set-up. The result is freed afterwards."""
        for attempt in range(TRIES):
            if before is not None:
                before()
            torch.cuda.synchronize(self._device)
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            self.flush()
            torch.cuda._sleep(int(self._delay_s * self._cycles_per_s))
            host = time.perf_counter()
            begin.record()
            result = function(*args, **kwargs)
            end.record()
            hidden = not begin.query()
            host = time.perf_counter() - host
            end.synchronize()
            del result
            if hidden:
                break
            self.dropped += 1
            self._delay_s = min(_LONGEST_DELAY_S, max(2 * self._delay_s, 2 * host))
        return begin.elapsed_time(end)

    def latency_ms(self, function, args, kwargs, before=None) -> float:
        """From before the call until the stream is idle, caches cold as well."""
        if before is not None:
            before()
        self.flush()
        torch.cuda.synchronize(self._device)
        stream = torch.cuda.current_stream(self._device)
        begin = time.perf_counter_ns()
        result = function(*args, **kwargs)
        stream.synchronize()
        took = time.perf_counter_ns() - begin
        del result
        return took / 1e6


class Captured:
    """A function as a CUDA graph: inputs and results at stable addresses. `place(args, kwargs)` copies new content in,
    which is not part of the call. A graph knows addresses alone: the function is held for what it keeps there."""

    def __init__(self, function, args, kwargs, device):
        from kernelwright.subjects import replace_tensors, tensor_leaves

        self._function = function
        self._held = [t.clone() if t.device == device else t for t in tensor_leaves((args, kwargs))]
        args, kwargs = replace_tensors((args, kwargs), self._held)
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(3):
                function(*args, **kwargs)
        torch.cuda.current_stream(device).wait_stream(side)
        torch.cuda.synchronize(device)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._result = function(*args, **kwargs)

    def place(self, args, kwargs) -> None:
        from kernelwright.subjects import tensor_leaves

        for held, given in zip(self._held, tensor_leaves((args, kwargs)), strict=True):
            if held.data_ptr() != given.data_ptr():
                held.copy_(given)

    def __call__(self, *args, **kwargs):
        self._graph.replay()
        return self._result
