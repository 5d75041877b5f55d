# SPDX-License-Identifier: Apache-2.0
"""The runtime through ctypes, with a ReLU kernel that g++ builds here."""

import ctypes
import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from kernelwright import native
from kernelwright.errors import EnvironmentError_, InputError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
#include <kernelwright/kernel_abi.h>
extern "C" void relu(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = (const float*)a->buffers[0];
  float* y = (float*)a->buffers[1];
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}
extern "C" void twice(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) ((float*)a->buffers[1])[i] = 2 * ((const float*)a->buffers[0])[i];
}
extern "C" void add(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    ((float*)a->buffers[2])[i] = ((const float*)a->buffers[0])[i] + ((const float*)a->buffers[1])[i] + a->values[0].f32;
}
"""
N = 1000


def relu_program(**changes):
    program = {
        "format": 1,
        "target": "cpu",
        "source": "k.cpp",
        "buffers": {
            "x": {"role": "input", "index": 0, "dtype": "f32", "shape": [N]},
            "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [N]},
        },
        "run": [{"kernel": "relu", "grid": [N], "args": ["x", {"out": "y"}]}],
    }
    program.update(changes)
    return json.dumps(program)


class Floats:
    """N floats at a 64-byte aligned address."""

    def __init__(self, values):
        self._bytes = ctypes.create_string_buffer(4 * N + 64)
        self.address = (ctypes.addressof(self._bytes) + 63) // 64 * 64
        self.array = (ctypes.c_float * N).from_address(self.address)
        self.array[:] = values


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "k.cpp").write_text(SOURCE)
    subprocess.run(
        ["g++", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'include'}", "-o", folder / "kernels.so", folder / "k.cpp"],
        check=True,
    )
    return folder


def test_relu_runs(kernels):
    native.set_threads(2)
    assert native.get_threads() == 2
    x, y = Floats([i - 500 for i in range(N)]), Floats([7] * N)
    with native.Program(relu_program(), kernels / "kernels.so") as program:
        assert program.ports("input") == [("x", 0, 4 * N)]
        for _ in range(3):
            program.run([x.address], [y.address])
    assert list(y.array) == [max(0, i - 500) for i in range(N)]
    native.park()


def test_opens_a_folder_and_closes_once(kernels):
    (kernels / "program.json").write_text(relu_program())
    program = native.Program.open(kernels)
    assert program.workspace_bytes == 0
    program.close()
    program.close()
    with pytest.raises(InputError, match="closed"):
        program.run([0], [0])


def test_weights_are_prepared_and_unused_inputs_skipped(kernels):
    text = relu_program(
        buffers={
            "x": {"role": "input", "index": 1, "dtype": "f32", "shape": [N]},
            "w": {"role": "weight", "name": "layer.weight", "dtype": "f32", "shape": [N]},
            "wp": {"role": "packed", "dtype": "f32", "shape": [N]},
            "y": {"role": "output", "index": 0, "dtype": "f32", "shape": [N]},
        },
        prepare=[{"kernel": "twice", "grid": [N], "args": ["w", {"out": "wp"}]}],
        run=[{"kernel": "add", "grid": [N], "args": ["x", "wp", {"out": "y"}, {"scalar_input": 0, "dtype": "f32"}]}],
    )
    unused, x, w, y = Floats([100] * N), Floats([1] * N), Floats(range(N)), Floats([0] * N)
    with native.Program(text, kernels / "kernels.so") as program:
        assert program.weight_names == ["layer.weight"]
        with pytest.raises(InputError, match="kw_prepare"):
            program.run([unused.address, x.address], [y.address], scalars=[0.5])
        with pytest.raises(InputError, match="layer.weight"):
            program.prepare({})
        program.prepare({"layer.weight": w.address})
        program.run([unused.address, x.address], [y.address], scalars=[0.5])
        assert list(y.array) == [2 * i + 1.5 for i in range(N)]
        # A packed copy stays what it was until the next prepare.
        w.array[:] = [0] * N
        program.run([unused.address, x.address], [y.address], scalars=[0.5])
        assert y.array[10] == 21.5
        program.prepare([w.address])
        program.run([unused.address, x.address], [y.address], scalars=[0.5])
        assert y.array[10] == 1.5
        with pytest.raises(InputError, match="2 needed"):
            program.run([x.address], [y.address], scalars=[0.5])


@pytest.mark.parametrize("read, written", [(0, 1 << 14), (1 << 16, 64), (1 << 20, 5 << 20), (192, 0)])
def test_traffic_covers_what_it_writes_and_no_more(read, written):
    native.set_threads(2)
    source, target = (ctypes.c_uint8 * (read + 128))(*[1] * 64), (ctypes.c_uint8 * (written + 192))()
    ctypes.memset(target, 255, len(target))
    begin = -(-ctypes.addressof(target) // 64) * 64
    native.move_traffic(-(-ctypes.addressof(source) // 64) * 64, read, begin, written)
    after = bytes(target)
    offset = begin - ctypes.addressof(target)
    assert 255 not in after[offset : offset + written]
    assert set(after[:offset] + after[offset + written :]) == {255}
    with pytest.raises(InputError, match="unaligned"):
        native.move_traffic(begin, 64, begin + 4, 64)


def test_errors_are_one_line(kernels):
    with pytest.raises(InputError, match="program.json is not valid JSON"):
        native.Program("{", kernels / "kernels.so")
    with pytest.raises(InputError, match="no kernel 'memcpy'"):
        native.Program(
            relu_program(run=[{"kernel": "memcpy", "grid": [1], "args": ["x", {"out": "y"}]}]), kernels / "kernels.so"
        )
    with pytest.raises(InputError, match="cannot load the kernel object"):
        native.Program(relu_program(), kernels / "absent.so")
    with pytest.raises(InputError, match="'warp_drive'"):
        native.Program(relu_program(requires=["warp_drive"]), kernels / "kernels.so")
    x, y = Floats([1] * N), Floats([0] * N)
    with native.Program(relu_program(), kernels / "kernels.so") as program:
        with pytest.raises(InputError, match="input x is not 64-byte aligned"):
            program.run([x.address + 4], [y.address])
        with pytest.raises(InputError, match="output y is null"):
            program.run([x.address], [0])
    with pytest.raises(InputError, match="thread count 0"):
        native.set_threads(0)


def test_another_abi_is_refused():
    with pytest.raises(EnvironmentError_, match="has runtime ABI 7, this kernelwright has 2"):
        native.check_abi(7, "artifact")


def test_a_named_library_must_exist(monkeypatch):
    monkeypatch.setenv("KERNELWRIGHT_RUNTIME", "/nowhere/lib.so")
    with pytest.raises(EnvironmentError_, match="names no file"):
        native.runtime_path()


def test_threads_may_share_a_program(kernels):
    native.set_threads(2)
    program = native.Program(relu_program(), kernels / "kernels.so")
    wrong = []

    def work(sign):
        x, y = Floats([sign * i for i in range(N)]), Floats([0] * N)
        for _ in range(50):
            program.run([x.address], [y.address])
            if y.array[N - 1] != max(0, sign * (N - 1)):
                wrong.append(sign)

    threads = [threading.Thread(target=work, args=(sign,)) for sign in (1, -1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    program.close()
    assert not wrong


def test_a_cuda_program_runs_on_a_stream(tmp_path, monkeypatch):
    stub = native.runtime_path().parent / "libkw_stub_cuda.so"
    monkeypatch.setenv("KERNELWRIGHT_CUDA_DRIVER", str(stub))
    (tmp_path / "k.cubin").write_text("cubin")
    launch = {"kernel": "add_value", "grid": [1], "block": [32]}
    text = relu_program(
        target="cuda",
        source="k.cu",
        run=[{**launch, "args": ["x", {"out": "y"}, {"scalar_input": 0}, {"i32": N}]}],
    )
    x, y = Floats(range(N)), Floats([0] * N)
    with native.Program(text, tmp_path / "k.cubin") as program:
        assert program.target == "cuda"
        program.prepare([], stream=0)
        program.run([x.address], [y.address], scalars=[0.5], stream=0)
        assert list(y.array) == [i + 0.5 for i in range(N)]
        program.run([x.address], [y.address], scalars=[1])
        assert y.array[3] == 4
        program.poison_scratch(7, stream=0)
        assert program.sync_is_zero(stream=0)
        assert program.describe()["kernels"]["add_value"]["registers"] == 32
        with pytest.raises(InputError, match="input x is null"):
            program.run([0], [y.address], scalars=[1], stream=0)
    with pytest.raises(InputError, match="no kernel 'relu'"):
        native.Program(relu_program(target="cuda", run=[{**launch, "kernel": "relu", "args": [{"out": "y"}]}]), stub)


def test_a_cpu_program_has_no_streams(kernels):
    x, y = Floats([1] * N), Floats([0] * N)
    with native.Program(relu_program(), kernels / "kernels.so") as program:
        assert program.target == "cpu"
        program.run([x.address], [y.address], stream=0)
        assert y.array[0] == 1
        with pytest.raises(InputError, match="target cpu has no streams"):
            program.run([x.address], [y.address], stream=64)


def test_embedded_ptx_is_that_of_its_source():
    if not shutil.which("nvcc"):
        pytest.skip("no nvcc")
    version = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    if "release 13.0" not in version:
        pytest.skip("the .ptx files were written by nvcc 13.0, another version words them differently")
    done = subprocess.run([ROOT / "scripts" / "ptx", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
