# SPDX-License-Identifier: Apache-2.0
"""The runtime's C ABI (include/kernelwright/runtime.h) through ctypes. Tensors are integer addresses, streams are integers (CUstream, 0 the
default): no PyTorch here."""

import ctypes
import functools
import json
import os
import threading
from pathlib import Path

from kernelwright.errors import EnvironmentError_, InputError

ABI = 2
_NAME = "libkernelwright_runtime.so"
_BARE = ctypes.CFUNCTYPE(ctypes.c_int)
_ROLES = ("input", "weight", "output", "state")


def runtime_path():
    """Where the runtime lies: $KERNELWRIGHT_RUNTIME, the package, an installed lib folder, a checkout's build."""
    named = os.environ.get("KERNELWRIGHT_RUNTIME")
    if named:
        if not Path(named).is_file():
            raise EnvironmentError_(f"KERNELWRIGHT_RUNTIME names no file: {named}")
        return Path(named)
    package = Path(__file__).resolve().parent
    folders = [package, package / "lib"]
    # Beside an installed package: PREFIX/lib, whatever lies between it and the package.
    folders += [parent / "lib" for parent in list(package.parents)[:5]]
    build = package.parent.parent / "build"
    folders += [build / preset / "lib" for preset in ("release", "dev")]
    for folder in folders:
        if (folder / _NAME).is_file():
            return folder / _NAME
    raise EnvironmentError_(f"{_NAME} not found: build it, or name it in KERNELWRIGHT_RUNTIME")


@functools.lru_cache(maxsize=1)
def runtime():
    """The loaded runtime. A library of another ABI is refused."""
    path = runtime_path()
    try:
        lib = ctypes.CDLL(str(path))
        lib.kw_runtime_abi.restype = ctypes.c_int
        abi = lib.kw_runtime_abi()
    except (OSError, AttributeError) as error:
        raise EnvironmentError_(f"cannot load the runtime: {error}", path=path) from None
    check_abi(abi, str(path))
    pointers = ctypes.POINTER(ctypes.c_void_p)
    signatures = {
        "kw_last_error": (ctypes.c_char_p, []),
        "kw_cpu_features": (ctypes.c_char_p, []),
        "kw_set_threads": (ctypes.c_int, [ctypes.c_int]),
        "kw_get_threads": (ctypes.c_int, []),
        "kw_park": (None, []),
        "kw_wake": (ctypes.c_int, []),
        "kw_move_traffic": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]),
        "kw_open": (ctypes.c_int, [ctypes.c_char_p, ctypes.c_char_p, pointers]),
        "kw_close": (None, [ctypes.c_void_p]),
        "kw_buffer_count": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]),
        "kw_buffer_name": (ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
        "kw_buffer_index": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
        "kw_buffer_bytes": (ctypes.c_int64, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
        "kw_workspace_bytes": (ctypes.c_int64, [ctypes.c_void_p]),
        "kw_target": (ctypes.c_char_p, [ctypes.c_void_p]),
        "kw_prepare": (ctypes.c_int, [ctypes.c_void_p, pointers]),
        "kw_prepare_on": (ctypes.c_int, [ctypes.c_void_p, pointers, ctypes.c_void_p]),
        # Arrays by their address.
        "kw_run": (ctypes.c_int, [ctypes.c_void_p] * 5),
        "kw_run_on": (ctypes.c_int, [ctypes.c_void_p] * 6),
        "kw_poison_scratch_on": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]),
        "kw_sync_is_zero_on": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
        "kw_describe": (ctypes.c_char_p, [ctypes.c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    return lib


def check_abi(found, what):
    """Refuses another ABI number than ours in one line; `what` is a library or an artifact."""
    if found != ABI:
        raise EnvironmentError_(f"{what} has runtime ABI {found}, this kernelwright has {ABI}: build it again")


def set_threads(count):
    """Worker threads of all programs in this process, the caller included."""
    if runtime().kw_set_threads(count) != 0:
        raise InputError(_last_error())


def get_threads():
    return runtime().kw_get_threads()


def park():
    """Puts idle workers to sleep at once."""
    runtime().kw_park()


def wake():
    """Wakes all workers; they spin for some hundreds of microseconds."""
    if runtime().kw_wake() != 0:
        raise InputError(_last_error())


def move_traffic(source, read_bytes, target, written_bytes):
    """Reads and writes so many bytes at two addresses, as fast as memory allows just now."""
    if runtime().kw_move_traffic(source, read_bytes, target, written_bytes) != 0:
        raise InputError(_last_error())


def cpu_features():
    return runtime().kw_cpu_features().decode()


def _last_error():
    return runtime().kw_last_error().decode(errors="replace")


class Program:
    """A program ready to run. Addresses must be 64-byte aligned (weights may be anywhere); of device memory where
    `target` is "cuda". A program for cuda belongs to the CUDA context that is current when it is opened."""

    def __init__(self, program_json, object_path):
        lib = runtime()
        handle = ctypes.c_void_p()
        self._handle = None
        if lib.kw_open(program_json.encode(), os.fsencode(object_path), ctypes.byref(handle)) != 0:
            raise InputError(_last_error())
        self._handle = handle
        self.target = lib.kw_target(handle).decode()
        self._ports = {role: self._read_ports(role) for role in _ROLES}
        self.weight_names = [name for name, _, _ in self._ports["weight"]]
        self.state_names = [name for name, _, _ in self._ports["state"]]
        self._input_indices = [index for _, index, _ in self._ports["input"]]
        self._output_indices = [index for _, index, _ in self._ports["output"]]
        self._all_inputs = self._input_indices == list(range(len(self._input_indices)))
        self._all_outputs = self._output_indices == list(range(len(self._output_indices)))
        # Made once: building ctypes arrays costs more than a small launch.
        self._weights = (ctypes.c_void_p * len(self.weight_names))()
        counts = [len(self._input_indices), len(self._output_indices), len(self.state_names)]
        self._addresses = (ctypes.c_void_p * sum(counts))()
        begin, size = ctypes.addressof(self._addresses), ctypes.sizeof(ctypes.c_void_p)
        self._at = (begin, begin + size * counts[0], begin + size * (counts[0] + counts[1]))
        # Arguments that are converted already, for a function that is not told their types.
        self._arguments = [handle, *map(ctypes.c_void_p, self._at), ctypes.c_void_p()]
        self._run = _BARE(ctypes.cast(lib.kw_run, ctypes.c_void_p).value)
        self._run_on = lib.kw_run_on
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder, object_name="kernels.so"):
        """The program of a folder: program.json and its built object."""
        folder = Path(folder)
        try:
            text = (folder / "program.json").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {folder / 'program.json'}: {error}") from None
        return cls(text, folder / object_name)

    def _read_ports(self, role):
        lib, key = runtime(), role.encode()
        return [
            (
                lib.kw_buffer_name(self._handle, key, i).decode(),
                lib.kw_buffer_index(self._handle, key, i),
                lib.kw_buffer_bytes(self._handle, key, i),
            )
            for i in range(lib.kw_buffer_count(self._handle, key))
        ]

    def ports(self, role):
        """[(name, index in the region or -1, bytes or -1)] of one role."""
        return list(self._ports[role])

    @property
    def workspace_bytes(self):
        return runtime().kw_workspace_bytes(self._open_handle())

    def prepare(self, weights, stream=None):
        """Runs the prepare steps. `weights`: addresses by name, or a list in the order of weight_names. With a
        `stream` the work is queued there; without one it is complete on return."""
        if isinstance(weights, dict):
            missing = [name for name in self.weight_names if name not in weights]
            if missing:
                raise InputError(f"no weight '{missing[0]}' given")
            weights = [weights[name] for name in self.weight_names]
        with self._lock:
            _assign(self._weights, weights, "weights")
            if stream is None:
                status = runtime().kw_prepare(self._open_handle(), self._weights)
            else:
                status = runtime().kw_prepare_on(self._open_handle(), self._weights, stream)
            if status != 0:
                raise InputError(_last_error())

    def run(self, inputs, outputs, states=(), scalars=None, stream=None):
        """Runs once. `inputs` and `outputs` are the addresses of all the region's tensors in their order; `states`
        follows state_names, `scalars` the scalar inputs. With a `stream` the work is queued there; without one it is
        complete on return."""
        if not self._all_inputs or len(inputs) != len(self._input_indices):
            inputs = _pick(inputs, self._input_indices, "inputs")
        if not self._all_outputs or len(outputs) != len(self._output_indices):
            outputs = _pick(outputs, self._output_indices, "outputs")
        if len(states) != len(self.state_names):
            raise InputError(f"{len(states)} states given, {len(self.state_names)} needed")
        self.run_at([*inputs, *outputs, *states], scalars, stream)

    def run_at(self, addresses, scalars=None, stream=None):
        """The same at addresses in one list: of the inputs that the program reads, its outputs, its states."""
        if scalars is not None:
            scalars = (ctypes.c_double * len(scalars))(*scalars)
        with self._lock:
            if self._handle is None:
                raise InputError("the program is closed")
            self._addresses[:] = addresses
            if stream is None:
                self._arguments[-1] = scalars
                status = self._run(*self._arguments)
            else:
                status = self._run_on(self._handle, *self._at, scalars, stream)
            if status != 0:
                raise InputError(_last_error())

    @property
    def input_indices(self):
        """Which of the region's inputs the program reads, in the order of their addresses."""
        return list(self._input_indices)

    def poison_scratch(self, byte, stream=None):
        """Fills scratch memory with a byte."""
        with self._lock:
            if runtime().kw_poison_scratch_on(self._open_handle(), byte, stream) != 0:
                raise InputError(_last_error())

    def sync_is_zero(self, stream=None):
        """Whether every sync buffer is zero again; waits for the stream."""
        with self._lock:
            zero = runtime().kw_sync_is_zero_on(self._open_handle(), stream)
        if zero < 0:
            raise InputError(_last_error())
        return zero == 1

    def describe(self):
        """What the runtime knows of the loaded program: registers and spills per kernel, how the plan is executed."""
        with self._lock:
            text = runtime().kw_describe(self._open_handle())
        if text is None:
            raise InputError(_last_error())
        return json.loads(text)

    def close(self):
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            runtime().kw_close(handle)

    def _open_handle(self):
        if self._handle is None:
            raise InputError("the program is closed")
        return self._handle

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None) is not None:
            self.close()


def _assign(array, addresses, what):
    if len(addresses) != len(array):
        raise InputError(f"{len(addresses)} {what} given, {len(array)} needed")
    array[:] = addresses


def _pick(addresses, indices, what):
    if indices and max(indices) >= len(addresses):
        raise InputError(f"{len(addresses)} {what} given, {max(indices) + 1} needed")
    return [addresses[i] for i in indices]
