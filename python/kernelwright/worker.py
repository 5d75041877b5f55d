# SPDX-License-Identifier: Apache-2.0
"""The torch worker: `python -m kernelwright.worker --fd N`. docs/torch-worker.md is its protocol."""

import argparse
import contextlib
import gc
import os
import platform
import socket
import sys
import traceback
from pathlib import Path

from kernelwright.errors import KernelwrightError, last_line, one_line, place_of


class Worker:
    """State behind the protocol. Every `op_*` takes a request and gives (reply, descriptors)."""

    def __init__(self):
        self.workload = None
        self.exported = None
        self._regions = {}
        self._drawers = {}
        self._baselines = {}
        self._check = None
        self._memories = None  # the coordinator's device memory

    def handle(self, request: dict, fds: list) -> tuple[dict, list]:
        op = request.get("op")
        method = getattr(self, f"op_{op}", None) if isinstance(op, str) else None
        if method is None:
            raise ProtocolError(f"unknown op '{one_line(op, 40)}'")
        return method(request, fds)

    def op_hello(self, request, fds):
        import torch

        from kernelwright.workload import require_torch

        require_torch()
        threads = _integer(request, "threads", 0)
        if threads > 0:
            torch.set_num_threads(threads)
        versions = {"torch": torch.__version__, "python": platform.python_version(), "kernelwright": _own_version()}
        try:
            import numpy

            versions["numpy"] = numpy.__version__
        except ImportError:
            pass
        return {"versions": versions, "threads": torch.get_num_threads(), "abi": 1}, []

    def op_import(self, request, fds):
        from kernelwright import call_spec, device, export, policy, workload

        name = _text(request, "policy", "strict")
        target = _text(request, "target", "cpu")
        out = Path(_text(request, "out"))
        place = device.of_target(target)
        policy.apply(name)
        self.workload = workload.load(
            _text(request, "path"),
            _text(request, "init", ""),
            _text(request, "inputs", ""),
            _text(request, "size", "cpu"),
            name,
            device=place,
        )
        self.exported = export.export(self.workload)
        call_spec.add_to(self.exported)
        if self.workload.drawn:
            self.exported.graph["drawn"] = self.workload.drawn
        export.write(self.exported, out)
        call_spec.write_constants(self.exported, out, self.workload.module)
        self._regions, self._drawers, self._baselines = {}, {}, {}
        self._settle()
        return {
            "graph": str(out / "graph.json"),
            "weights": str(out / "weights.safetensors"),
            "name": self.workload.name,
            "neighbours": workload.neighbours(self.workload),
        }, []

    def op_regions(self, request, fds):
        self._need_import()
        regions = request.get("regions")
        if not isinstance(regions, list) or not all(isinstance(r, dict) and "id" in r for r in regions):
            raise ProtocolError("regions is not a list of regions")
        self._regions = {r["id"]: r for r in regions}
        self._drawers = {k: v for k, v in self._drawers.items() if k == "whole"}
        self._baselines = {k: v for k, v in self._baselines.items() if k == "whole"}
        return {}, []

    def op_draw(self, request, fds):
        from kernelwright import draws

        kind, seed = _text(request, "kind", "own"), _integer(request, "seed", 0)
        places = request.get("places")
        try:
            drawer = self._drawer(_text(request, "region"))
            if places is None:
                draw, made = drawer.draw(kind, seed)
            else:
                draw, made = drawer.draw_on(kind, seed, _places(places), self._mapped()), []
        except draws.Skip as skip:
            return {"skipped": one_line(skip)}, []
        finally:
            self._settle()
        return {"draw": draw}, made

    def op_map(self, request, fds):
        sizes = request.get("segments")
        if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
            raise ProtocolError("segments is not a list of sizes")
        device = self._place(request)
        self._mapped().map(_integer(request, "id", -1), sizes, fds, device)
        return {}, []

    def op_unmap(self, request, fds):
        numbers = request.get("ids")
        if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
            raise ProtocolError("ids is not a list of integers")
        for drawer in self._drawers.values():
            drawer.forget(numbers)
        self._mapped().unmap(numbers)
        return {}, []

    def op_release(self, request, fds):
        self._settle()
        return {}, []

    def op_baseline(self, request, fds):
        return self._baselines_of(_text(request, "region")).prepare(_text(request, "name", "eager")), []

    def op_time(self, request, fds):
        return self._baselines_of(_text(request, "region")).time(
            _text(request, "name", "eager"), _integer(request, "calls", 1), _integer(request, "flush_bytes", 0)
        ), []

    def op_artifact_open(self, request, fds):
        from kernelwright import artifact_check

        self._check = artifact_check.ArtifactCheck(request)
        return {"generated": self._check.generated, "prepare_ms": self._check.prepare_ms}, []

    def op_artifact_run(self, request, fds):
        if self._check is None:
            raise ProtocolError("artifact_run before artifact_open")
        draw = request.get("draw")
        if isinstance(draw, dict) and "places" in draw:
            try:
                self._check.run_on(_places(draw["places"]), self._mapped())
            finally:
                self._settle()
            return {}, []
        if not isinstance(draw, dict) or len(fds) != 1:
            raise ProtocolError("artifact_run needs a draw and one descriptor")
        return self._check.run(draw, fds.pop())

    def op_artifact_time(self, request, fds):
        if self._check is None:
            raise ProtocolError("artifact_time before artifact_open")
        return self._check.time(
            float(request.get("seconds", 1.0)),
            _integer(request, "flush_bytes", 0),
            bool(request.get("fresh_memory", False)),
            bool(request.get("with_compile", False)),
            (_integer(request, "read_bytes", 0), _integer(request, "written_bytes", 0)),
        ), []

    def _mapped(self):
        from kernelwright import device_memory

        if self._memories is None:
            self._memories = device_memory.Memories()
        return self._memories

    def _place(self, request):
        """The device of a `map`."""
        import torch

        from kernelwright import device

        if self.workload is not None:
            return self.workload.device
        if self._check is not None:
            return self._check.device
        number = request.get("device", 0)
        return device.of_target(f"cuda:{number}") if isinstance(number, int) else torch.device(number)

    def _settle(self):
        """Nothing is running on the GPU any more, and what PyTorch keeps in reserve is the GPU's again."""
        import torch

        if torch.cuda.is_available() and torch.cuda.is_initialized():
            gc.collect()
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def _need_import(self):
        if self.exported is None:
            raise ProtocolError("nothing was imported")

    def _subject(self, region):
        from kernelwright import subjects

        self._need_import()
        if region == "whole":
            return subjects.make_subject(subjects.whole_region(self.exported.graph), self.exported, self.workload)
        if region not in self._regions:
            raise ProtocolError(f"unknown region '{one_line(region, 40)}'")
        described = self._regions[region]
        whole = None if described.get("whole") else self._drawer("whole").subject
        return subjects.make_subject(described, self.exported, self.workload, whole)

    def _drawer(self, region):
        from kernelwright import draws

        if region not in self._drawers:
            self._drawers[region] = draws.Drawer(self._subject(region))
        return self._drawers[region]

    def _baselines_of(self, region):
        from kernelwright import baselines

        if region not in self._baselines:
            self._baselines[region] = baselines.Baselines(self._drawer(region))
        return self._baselines[region]


class ProtocolError(KernelwrightError):
    """The coordinator asked for something that makes no sense: a fault of ours."""


def _places(value) -> dict:
    """`places` of a draw, its shape checked."""
    from kernelwright.draws import _all_places

    try:
        for place in _all_places(value):
            if len(place) != 3 or not all(isinstance(number, int) for number in place):
                raise ValueError
        if not isinstance(value["inputs"], list) or not isinstance(value["answers"], list):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ProtocolError("places is not of the form that the protocol names") from None
    return value


def _text(request, key, default=None) -> str:
    value = request.get(key, default)
    if not isinstance(value, str):
        raise ProtocolError(f"'{key}' is not a string")
    return value


def _integer(request, key, default) -> int:
    value = request.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"'{key}' is not an integer")
    return value


def _own_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("kernelwright")
    except metadata.PackageNotFoundError:
        return "0.1.0"


_OURS = ("OutOfMemoryError", "AcceleratorError")  # of PyTorch: the GPU's state, not the user's module


def describe(error, source_file=None) -> dict:
    """Any failure as the protocol's error object."""
    if isinstance(error, KernelwrightError):
        return error.as_dict()
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ in _OURS
        or "not enough memory" in str(error)
        or isinstance(error, OSError)
    ):
        return {"kind": "environment", "message": last_line(error), "context": {}}
    place = place_of(error, source_file)
    ours = str(Path(__file__).resolve().parent)
    frames = traceback.extract_tb(error.__traceback__)
    own = source_file and any(f.filename == str(source_file) for f in frames)
    context = {"at": place.removeprefix(ours + os.sep)} if place else {}
    return {"kind": "input" if own else "internal", "message": last_line(error), "context": context}


def serve(channel, worker=None) -> None:
    """Answers requests until `stop` or the end of the stream."""
    from kernelwright.channel import Closed

    worker = worker or Worker()
    while True:
        try:
            request, fds = channel.receive()
        except Closed:
            return
        if request.get("op") == "stop":
            channel.send({"ok": True})
            return
        made = []
        try:
            reply, made = worker.handle(request, fds)
            channel.send({"ok": True, **reply}, made)
        except (Exception, SystemExit) as error:
            # The log may be on a full disk; the coordinator hears of the error all the same.
            with contextlib.suppress(OSError):
                traceback.print_exc(file=sys.stderr)
                sys.stderr.flush()
            source = worker.workload.source_file if worker.workload else None
            channel.send({"ok": False, "error": describe(error, source)})
        finally:
            for fd in [*fds, *made]:
                os.close(fd)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="kernelwright.worker")
    parser.add_argument("--fd", type=int, required=True)
    number = parser.parse_args(argv).fd
    sock = socket.socket(fileno=number)
    try:
        from kernelwright.channel import Channel
    except ImportError as error:  # PyTorch is missing or broken: say so in the protocol's words
        _refuse(sock, error)
        return 1
    serve(Channel(sock))
    return 0


def _refuse(sock, error):
    import json
    import struct

    body = json.dumps(
        {
            "ok": False,
            "error": {
                "kind": "environment",
                "context": {"python": sys.executable},
                "message": f"PyTorch cannot be loaded: {last_line(error)}",
            },
        }
    ).encode()
    sock.recv(8)
    sock.sendall(struct.pack("<II", len(body), 0) + body)


if __name__ == "__main__":
    sys.exit(main())
