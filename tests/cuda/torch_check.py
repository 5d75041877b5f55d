# SPDX-License-Identifier: Apache-2.0
"""Checks the PyTorch side on a GPU and prints a table; needs PyTorch, nvcc, the built runtime library, and for the last
checks the built program.

    PYTHONPATH=python python tests/cuda/torch_check.py [--calls N] [--large] [--only WORD]

The worker draws into memory that another process owns; baselines are timed; a drop-in with hand-written kernels is called
in every way that PyTorch has; then memory before and after N calls (100,000), KernelBench's form and torch.compile's backend.
--large adds a draw of 6.4 GB in and 6.4 GB out."""

import argparse
import functools
import gc
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

import torch
from torch_check_worker import check_large, check_worker

from kernelwright import call_spec, export, native, subjects, workload
from kernelwright.dropin import load_artifact

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))
from artifacts import nodes_named, region_of  # noqa: E402

ROWS, COLS = 4096, 1024
SOURCE = f"""import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand({COLS}) + 0.5)
    def forward(self, x):
        return torch.tanh(torch.relu(x) * self.scale)
def get_inputs():
    return [torch.randn({ROWS}, {COLS})]
def get_init_inputs():
    return []
"""
KERNELS = """
extern "C" __global__ void pack(const float* w, float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = w[i];
}
extern "C" __global__ void relu_times(const float* x, const float* w, float* y, int n, int columns) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = (x[i] > 0 ? x[i] : 0) * w[i % columns];
}
"""


def arch():
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}" + ("a" if major >= 9 else "")


def make_artifact(folder):
    """An artifact for the GPU: relu and the product are a program, tanh stays PyTorch's."""
    folder.mkdir(parents=True)
    (folder / "original.py").write_text(SOURCE)
    loaded = workload.load(str(folder / "original.py"), device="cuda:0")
    exported = export.export(loaded)
    call_spec.add_to(exported)
    export.write(exported, folder)
    call_spec.write_constants(exported, folder, loaded.module)
    graph = exported.graph
    region = region_of(graph, nodes_named(graph, "relu", "mul"))
    count = ROWS * COLS
    tensor = {"dtype": "f32", "shape": [ROWS, COLS]}
    row = {"dtype": "f32", "shape": [COLS]}
    args = ["x", "p", {"out": "y"}, {"i32": count}, {"i32": COLS}]
    program = {
        "format": 1,
        "target": "cuda",
        "arch": arch(),
        "source": "k.cu",
        "buffers": {
            "x": {"role": "input", "index": 0, **tensor},
            "w": {"role": "weight", "name": "scale", **row},
            "p": {"role": "packed", **row},
            "y": {"role": "output", "index": 0, **tensor},
        },
        "prepare": [{"kernel": "pack", "grid": [4], "block": [256], "args": ["w", {"out": "p"}, {"i32": COLS}]}],
        "run": [{"kernel": "relu_times", "grid": [count // 256], "block": [256], "args": args}],
    }
    place = folder / "programs" / "r0"
    place.mkdir(parents=True)
    (place / "program.json").write_text(json.dumps(program))
    (place / "k.cu").write_text(KERNELS)
    gencode = f"-gencode=arch=compute_{arch()[3:]},code={arch()}"
    subprocess.run(["nvcc", "-O2", "-cubin", gencode, "-o", place / "object.cubin", place / "k.cu"], check=True)
    result = {
        "format": 1,
        "abi": native.ABI,
        "policy": "strict",
        "workload": "check",
        "regions": [{**region, "accepted": True, "program": "programs/r0"}],
        "spec": {"path": "original.py", "init": "", "inputs": "", "size": "gpu", "policy": "strict", "target": "cuda"},
    }
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "optimized.py").write_text(
        "from kernelwright.dropin import load_artifact\n\nModelNew = load_artifact(__file__)\n"
    )
    return folder


class Subject:
    """The drop-in and what it must give."""

    def __init__(self, artifact):
        torch.manual_seed(0)
        # In the mode that was judged: in another one every call goes to the original, which is right as well.
        self.module = load_artifact(artifact)().cuda()
        self.x = torch.randn(ROWS, COLS, device="cuda")
        with torch.no_grad():
            assert self.runs(self.module, self.x) == 1, "a plain call did not go to the program"

    @staticmethod
    def runs(call, *args):
        """How many programs one call runs."""
        count, run = [0], native.Program.run

        def counted(*given, **named):
            count[0] += 1
            return run(*given, **named)

        native.Program.run = counted
        try:
            call(*args)
        finally:
            native.Program.run = run
        return count[0]

    def engine(self):
        return self.module.__dict__["_kernelwright"]

    def check(self, result, x=None):
        expected = torch.tanh(torch.relu(self.x if x is None else x) * self.module.scale.detach())
        torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-6)


# ---- checks: each returns what the table's last column says


def check_calls(subject):
    module, x = subject.module, subject.x
    with torch.inference_mode():
        subject.check(module(x))
    assert subject.engine().prepare_count == 1, "the first call did not go to the program"
    with torch.no_grad():
        subject.check(module(x))
        for other in (
            torch.randn(COLS, ROWS, device="cuda").t(),
            torch.randn(ROWS * COLS + 1, device="cuda")[1:].view(ROWS, COLS),
            torch.randn(7, COLS, device="cuda"),
        ):
            subject.check(module(other), other)
        module.scale.mul_(1.5)
        subject.check(module(x))
    assert subject.engine().prepare_count == 2, "a changed weight was not prepared once"
    module(x).sum().backward()
    assert module.scale.grad is not None
    return "strides, alignment, shapes, weights, gradients"


def check_copies(subject):
    with torch.no_grad():
        subject.module(subject.x)
        torch.cuda.synchronize()
        gc.collect()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = subject.module(subject.x)
        peak = torch.cuda.max_memory_allocated() - before
    size = result.numel() * 4
    assert peak <= 2 * size + 4096, f"peak of {peak} bytes for a result of {size}"
    return f"peak {peak / size:.2f} x the result (two of them live at most)"


def check_stream(subject):
    side = torch.cuda.Stream()
    with torch.no_grad():
        subject.module(subject.x)
        torch.cuda.synchronize()
        with torch.cuda.stream(side):  # the second stream's memory is there
            subject.module(subject.x)
        torch.cuda.synchronize()
        torch.cuda._sleep(2_000_000_000)  # the default stream is held up
        with torch.cuda.stream(side):
            result = subject.module(subject.x)
            done = torch.cuda.Event()
            done.record()
        done.synchronize()
        ahead = not torch.cuda.default_stream().query()
        torch.cuda.synchronize()
        subject.check(result)
    assert ahead, "it waited for the default stream"
    return "ran ahead of the default stream"


def check_threads(subject):
    found = []

    def call():
        with torch.no_grad(), torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(50):
                result = subject.module(subject.x)
            torch.cuda.current_stream().synchronize()
            found.append(result)

    torch.cuda.synchronize()
    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4, "a thread failed"
    for result in found:
        subject.check(result)
    return "4 threads, 4 streams"


def check_sync(subject):
    with torch.no_grad():
        for _ in range(12):
            kept = [subject.module(subject.x) for _ in range(2)]
        del kept
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            torch.cuda._sleep(200_000_000)
            begin = time.perf_counter()
            for _ in range(10):
                result = subject.module(subject.x)
            took = (time.perf_counter() - begin) / 10
            busy = not torch.cuda.current_stream().query()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    subject.check(result)
    assert busy, "the host waited for the device"
    return f"{took * 1e6:.1f} us of host time a call"


def check_graph(subject):
    still = subject.x.clone()
    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            subject.module(still)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = subject.module(still)
        for seed in range(3):
            torch.manual_seed(seed)
            still.copy_(torch.randn(ROWS, COLS, device="cuda"))
            graph.replay()
            subject.check(result, still)
    return "3 replays with new content"


def check_first_capture(subject):
    with torch.no_grad(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.tanh(torch.relu(subject.x) * 2)
        subject.module.refresh()  # as before a first call: nothing is prepared
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = subject.module(subject.x)
        graph.replay()
    subject.check(result)
    assert any("capture" in str(w.message) for w in said), "nothing was said"
    return "the original was captured, and said so"


def check_compile(subject):
    torch._dynamo.reset()
    seen = []

    def backend(graph, inputs):
        seen.extend(str(n.target) for n in graph.graph.nodes if n.op == "call_function")
        return graph.forward

    with torch.no_grad():
        subject.check(torch.compile(subject.module, backend=backend, fullgraph=True)(subject.x))
        count = sum("run_region" in name for name in seen)
        assert count == 1 and not any("relu" in name for name in seen), seen
        for mode in (None, "reduce-overhead"):
            torch._dynamo.reset()
            call = torch.compile(subject.module, mode=mode, fullgraph=True)
            if mode is None:
                call(subject.x)
                assert subject.runs(call, subject.x) == 1, "what Inductor made does not run the program"
            for _ in range(4):
                x = torch.randn(ROWS, COLS, device="cuda")
                subject.check(call(x).clone(), x)
    return "one op; Inductor; CUDA graph trees"


def check_device(subject):
    if torch.cuda.device_count() < 2:
        return "skipped: one GPU"
    with torch.no_grad():
        subject.module(subject.x)
        count = subject.engine().prepare_count
        subject.module.to("cuda:1")
        x = subject.x.to("cuda:1")
        subject.check(subject.module(x), x)
        assert subject.engine().prepare_count == count
        subject.module.to("cuda:0")
        subject.check(subject.module(subject.x))
    return "the original ran on cuda:1"


def check_many(subject, calls):
    with torch.no_grad():
        for _ in range(2000):
            subject.module(subject.x)
        torch.cuda.synchronize()
        gc.collect()
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        free, _ = torch.cuda.mem_get_info()
        begin = time.perf_counter()
        for _ in range(calls):
            result = subject.module(subject.x)
        torch.cuda.synchronize()
        took = time.perf_counter() - begin
        subject.check(result)
        gc.collect()
        host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - host
        device = free - torch.cuda.mem_get_info()[0]
    assert host < 8192, f"host memory grew by {host} KiB"
    assert device <= 0, f"device memory grew by {device} bytes"
    return f"{took / calls * 1e6:.1f} us a call; host +{host} KiB, device +{device} bytes"


def check_backend(folder):
    os.environ["KERNELWRIGHT_CACHE_DIR"] = str(folder / "cache")
    os.environ.setdefault("KERNELWRIGHT_BUDGET", "10s")
    model = torch.nn.Sequential(torch.nn.Linear(1024, 1024), torch.nn.ReLU(), torch.nn.Softmax(-1)).cuda().eval()
    x = torch.randn(8192, 1024, device="cuda")
    times = []
    with torch.no_grad(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            torch._dynamo.reset()
            begin = time.perf_counter()
            torch.testing.assert_close(torch.compile(model, backend="kernelwright")(x), model(x), rtol=1e-3, atol=1e-5)
            times.append(time.perf_counter() - begin)
    notes = [str(w.message) for w in said if "kernelwright" in str(w.message)]
    return f"{times[0]:.1f} s, then from the cache {times[1]:.1f} s" + (f"; {notes[0]}" if notes else "")


def exported_file(artifact, folder):
    """The artifact as a run of an archive of its own, through `archive export`, as a namespace."""
    from kernelwright.optimizing import find_program

    data = folder / f"data-{artifact.name}"
    environment = {**os.environ, "KERNELWRIGHT_DATA_DIR": str(data)}

    def run(*words):
        done = subprocess.run([find_program(), *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    run("archive", "list")
    with sqlite3.connect(next(data.rglob("archive.sqlite"))) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(run)")]
        values = {"id": "check", "workload": "check", "out_dir": str(artifact), "status": "improved"}
        row = [values.get(column, "") for column in columns]
        connection.execute(f"INSERT INTO run VALUES ({','.join('?' * len(columns))})", row)
    out = folder / f"{artifact.name}.py"
    run("archive", "export", "check", "--format", "kernelbench", "--out", str(out))
    space = {}
    exec(compile(out.read_text(), "<string>", "exec"), space)
    return space


def both(space):
    """(ModelNew, Model) with the same weights."""
    made = []
    for name in ("ModelNew", "Model"):
        torch.manual_seed(5)
        made.append(space[name](*space["get_init_inputs"]()).cuda())
    return made


def check_kernelbench(artifact, folder):
    begin = time.perf_counter()
    new, old = both(exported_file(artifact, folder))
    took = time.perf_counter() - begin
    x = torch.randn(ROWS, COLS, device="cuda")
    with torch.no_grad():
        torch.testing.assert_close(new(x), old(x), rtol=1e-6, atol=1e-6)
        for module in (new, old):
            module.scale.mul_(2.0)
        torch.testing.assert_close(new(x), old(x), rtol=1e-6, atol=1e-6)
    return f"built in {took:.0f} s"


def check_proof_program(name, folder):
    """A program of tests/honest/cuda as the whole of an artifact, in KernelBench's form."""
    source = ROOT / "tests" / "honest" / "cuda" / name
    artifact = folder / name
    shutil.copytree(source, artifact / "programs" / "whole")
    shutil.copy(source / "workload.py", artifact / "original.py")
    loaded = workload.load(str(artifact / "original.py"), device="cuda:0", size="gpu")
    exported = export.export(loaded)
    call_spec.add_to(exported)
    export.write(exported, artifact)
    call_spec.write_constants(exported, artifact, loaded.module)
    region = {**subjects.whole_region(exported.graph), "accepted": True, "program": "programs/whole"}
    spec = {"path": "original.py", "init": "", "inputs": "", "size": "gpu", "policy": "strict", "target": "cuda"}
    result = {"format": 1, "abi": native.ABI, "policy": "strict", "workload": name, "regions": [region], "spec": spec}
    (artifact / "result.json").write_text(json.dumps(result))
    begin = time.perf_counter()
    space = exported_file(artifact, folder)
    new, old = both(space)
    took = time.perf_counter() - begin
    with torch.no_grad():
        inputs = [t.cuda() for t in space["get_inputs"]()]
        plan = new.__dict__["_plan"]
        assert plan.inputs(inputs, {}) is not None, "the call went to the original"
        for _ in range(2):  # sync buffers are zero again
            results = zip(torch.utils._pytree.tree_leaves(new(*inputs)), torch.utils._pytree.tree_leaves(old(*inputs)))
            worst = max(float((a.double() - b.double()).abs().max() / b.double().abs().max()) for a, b in results)
            assert worst < 1e-2, f"differs by {worst:.2g} of the largest element"
    return f"built in {took:.0f} s, differs by {worst:.1g} of the largest element"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", default="", help="checks whose name holds this")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("skipped: PyTorch finds no GPU here")
        return 77
    print(f"{torch.cuda.get_device_name()}, {arch()}, PyTorch {torch.__version__}")
    failed, made = 0, []
    with tempfile.TemporaryDirectory(prefix="kernelwright-torch-check-") as name:
        folder = Path(name)

        def artifact():
            if not made:
                made.append(make_artifact(folder / "artifact"))
            return made[0]

        def of_dropin(check, *rest):
            return lambda: check(Subject(artifact()), *rest)

        checks = {"worker: draws, baselines": lambda: check_worker(folder)}
        if options.large:
            checks["worker: 6.4 GB in and out"] = lambda: check_large(folder)
        checks |= {
            "drop-in: calls": of_dropin(check_calls),
            "drop-in: no copies": of_dropin(check_copies),
            "drop-in: another stream": of_dropin(check_stream),
            "drop-in: threads": of_dropin(check_threads),
            "drop-in: no synchronization": of_dropin(check_sync),
            "drop-in: CUDA graph": of_dropin(check_graph),
            "drop-in: first call captured": of_dropin(check_first_capture),
            "drop-in: torch.compile": of_dropin(check_compile),
            "drop-in: another device": of_dropin(check_device),
            "drop-in: many calls": of_dropin(check_many, options.calls),
            "KernelBench's form": lambda: check_kernelbench(artifact(), folder),
            **{
                f"KernelBench's form, {name}": functools.partial(check_proof_program, name, folder)
                for name in ("gemm_cluster", "conv_im2col", "recurrence_repeat", "mlp_dependent", "gemm_stream_k")
            },
            "torch.compile backend": lambda: check_backend(folder),
        }
        for title, check in checks.items():
            if options.only not in title:
                continue
            try:
                print(f"{title:40} ok    {check()}", flush=True)
            except Exception as error:
                failed += 1
                traceback.print_exc()
                print(f"{title:40} FAIL  {type(error).__name__}: {' '.join(str(error).split())[:160]}", flush=True)
    print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
