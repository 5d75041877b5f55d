# SPDX-License-Identifier: Apache-2.0
"""NVRTC for tests: compiles CUDA sources without a GPU."""

import contextlib
import ctypes
import importlib.util
from pathlib import Path


def nvrtc():
    """The NVRTC library of the nvidia-cuda-nvrtc package or of the system."""
    candidates = [Path("libnvrtc.so.13"), Path("libnvrtc.so.12")]
    found = importlib.util.find_spec("nvidia")
    for place in found.submodule_search_locations if found else []:
        candidates[:0] = sorted(Path(place).glob("*/lib/libnvrtc.so.1[23]"))
    for path in candidates:
        # NVRTC opens its builtins by name: loaded before, they are found in a package's folder too.
        for builtins in path.parent.glob("libnvrtc-builtins.so.*") if path.is_absolute() else ():
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(path))
    raise OSError("no NVRTC: scripts/setup installs the package nvidia-cuda-nvrtc")
