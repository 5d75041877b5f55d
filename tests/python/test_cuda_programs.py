# SPDX-License-Identifier: Apache-2.0
"""The proof programs for cuda: buffers agree with their workloads, and NVRTC compiles the sources alone (no GPU needed)."""

import ctypes
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nvrtc_library import nvrtc
import torch

FOLDER = Path(__file__).resolve().parents[1] / "honest" / "cuda"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/program.json"))
DTYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.bool: "bool"}


def read(name):
    return json.loads((FOLDER / name / "program.json").read_text(encoding="utf-8"))


def load(path):
    spec = importlib.util.spec_from_file_location(f"cuda_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extents(buffer, program):
    size = load(FOLDER / "launcher.py").size
    return [size(extent, program.get("params", {})) for extent in buffer["shape"]]


@pytest.mark.parametrize("name", NAMES)
def test_buffers_agree_with_the_workload(name):
    program, workload = read(name), load(FOLDER / name / "workload.py")
    with torch.device("meta"):
        model = workload.Model(*workload.get_init_inputs())
        inputs = workload.get_inputs()
        output = model(*inputs)
    weights = model.state_dict()
    for key, buffer in program["buffers"].items():
        tensor = {
            "input": lambda b: inputs[b["index"]],
            "weight": lambda b: weights[b["name"]],
            "output": lambda b: [output][b["index"]],
        }.get(buffer["role"])
        if tensor is not None:
            found = tensor(buffer)
            assert (buffer["dtype"], extents(buffer, program)) == (DTYPES[found.dtype], list(found.shape)), key
    used = {buffer.get("name") for buffer in program["buffers"].values()}
    assert set(weights) <= used


@pytest.mark.parametrize("name", NAMES)
def test_nvrtc_compiles_without_headers(name):
    lib = nvrtc()
    program = read(name)
    source = (FOLDER / name / program["source"]).read_bytes()
    handle = ctypes.c_void_p()
    assert lib.nvrtcCreateProgram(ctypes.byref(handle), source, b"kernels.cu", 0, None, None) == 0
    options = [b"--gpu-architecture=sm_90a", b"--std=c++17"]
    options += [f"-D{key}={value}".encode() for key, value in program.get("params", {}).items()]
    status = lib.nvrtcCompileProgram(handle, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    lib.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetProgramLog(handle, log)
    assert status == 0, log.value.decode()
    lib.nvrtcGetCUBINSize(handle, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetCUBIN(handle, cubin)
    for kernel in set(re.findall(r'"kernel": "(\w+)"', json.dumps(program))):
        assert f".text.{kernel}".encode() in cubin.raw, kernel


def test_launcher_evaluates_sizes_as_the_format_does():
    size = load(FOLDER / "launcher.py").size
    assert (
        size("2 + 3 * A - ceil_div(7, 2) + min(1, 2) + max(1, 2) - (0 - 7) / 2 + 9 % 4", {"A": 5})
        == 2 + 15 - 4 + 1 + 2 + 3 + 1
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("through", ["direct", "runtime"])
def test_every_program_is_right(through):
    command = [sys.executable, str(FOLDER / "check.py"), "--no-time", "--through", through]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
