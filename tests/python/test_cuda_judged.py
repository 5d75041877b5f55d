# SPDX-License-Identifier: Apache-2.0
"""Attacks and honest programs for a GPU (tests/adversarial/cuda, tests/honest/cuda_small): NVRTC compiles those that are
meant to be judged by what they do (no GPU needed). scripts/test-cuda judges them where there is one."""

import ctypes
import json
from pathlib import Path

import pytest
from nvrtc_library import nvrtc

ROOT = Path(__file__).resolve().parents[2]
HEADERS = sorted((ROOT / "src" / "target" / "cuda" / "device").glob("*.h"))


def folders():
    for label in ("adversarial/cuda", "honest/cuda_small"):
        for path in sorted((ROOT / "tests" / label).glob("*/expect.json")):
            yield path.parent


def runs(folder):
    """Whether the program gets as far as a launch."""
    verdicts = json.loads((folder / "expect.json").read_text(encoding="utf-8"))["verdicts"]
    return not {"build_failed", "refused"} & set(verdicts)


def compile_log(lib, source: bytes) -> str:
    """Empty when it compiles."""
    texts = (ctypes.c_char_p * len(HEADERS))(*[path.read_bytes() for path in HEADERS])
    names = (ctypes.c_char_p * len(HEADERS))(*[path.name.encode() for path in HEADERS])
    handle = ctypes.c_void_p()
    made = lib.nvrtcCreateProgram(ctypes.byref(handle), source, b"kernels.cu", len(HEADERS), texts, names)
    assert made == 0
    options = [b"--gpu-architecture=sm_90", b"--std=c++17"]
    code = lib.nvrtcCompileProgram(handle, len(options), (ctypes.c_char_p * len(options))(*options))
    if code == 0:
        return ""
    size = ctypes.c_size_t()
    lib.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetProgramLog(handle, log)
    return log.value.decode(errors="replace") or f"code {code}"


@pytest.mark.parametrize("folder", list(folders()), ids=lambda folder: folder.name)
def test_the_plan_names_kernels_of_the_source(folder):
    program = json.loads((folder / "program.json").read_text(encoding="utf-8"))
    source = (folder / program["source"]).read_text(encoding="utf-8")
    if not runs(folder):
        pytest.skip("refused before a launch")
    for step in program.get("prepare", []) + program["run"]:
        for launch in step.get("body", [step]):
            assert f"void {launch['kernel']}(" in source


@pytest.mark.parametrize("folder", [f for f in folders() if runs(f)], ids=lambda folder: folder.name)
def test_nvrtc_compiles_it(folder):
    lib = nvrtc()
    assert compile_log(lib, (folder / "kernels.cu").read_bytes()) == ""
