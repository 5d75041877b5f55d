# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the proof programs on a GPU: one line each, right or wrong and how fast.

    python tests/honest/cuda/check.py [NAME...] [--through direct|runtime] [--compile] [--cubins DIR] [--seconds N]

Every program runs in a process of its own with a time limit, so a wrong or hanging kernel stops only itself. Results are
compared with the module in fp64; eager's own deviation is the yardstick. `direct` launches through the driver from
Python (launcher.py), `runtime` through our runtime library. --cubins takes DIR/NAME.cubin instead of calling nvcc;
--compile adds torch.compile to the baselines."""

import argparse
import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import launcher  # noqa: E402

# Work of one call: FLOP where arithmetic bounds it, else bytes.
WORK = {
    "gemm_cluster": ("TFLOP/s", 2 * 4096**3),
    "gemm_stream_k": ("TFLOP/s", 2 * 1792 * 2560 * 8192),
    "scan_lookback": ("GB/s", 2 * 64 * 524288 * 4),
    "recurrence_persistent": ("TFLOP/s", 2 * 512 * 8 * 1024**2),
    "recurrence_repeat": ("TFLOP/s", 2 * 512 * 8 * 1024**2),
    "softmax_cluster": ("GB/s", 2 * 512 * 131072 * 4),
    "attention_flash": ("TFLOP/s", 2 * 64 * 2048 * 2048 * 64),
    "conv_im2col": ("TFLOP/s", 2 * 32 * 56 * 56 * 128 * 128 * 9),
    "branches_graph": ("TFLOP/s", 200 * 2 * 32 * 128 * 128),
    "mlp_dependent": ("GB/s", 8 * 2048 * 2048 * 4),
}
UNIT = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


def load_workload(name):
    spec = importlib.util.spec_from_file_location(f"workload_{name}", HERE / name / "workload.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Runtime:
    """The same face as launcher.Direct, through the runtime's C ABI (include/kernelwright/runtime.h)."""

    def __init__(self, folder, cubin, weights):
        sys.path.insert(0, str(HERE.parents[2] / "python"))
        from kernelwright import native

        lib = ctypes.CDLL(str(native.runtime_path()))
        lib.kw_last_error.restype = ctypes.c_char_p
        lib.kw_buffer_name.restype = ctypes.c_char_p
        if hasattr(lib, "kw_describe"):
            lib.kw_describe.restype = ctypes.c_char_p
        self.lib, self.handle = lib, ctypes.c_void_p()
        text = (Path(folder) / "program.json").read_bytes()
        torch.cuda.current_stream().synchronize()  # PyTorch's context is the program's
        self._check(lib.kw_open(text, os.fsencode(cubin), ctypes.byref(self.handle)), "kw_open")
        names = [lib.kw_buffer_name(self.handle, b"weight", i).decode() for i in range(self._count(b"weight"))]
        self.weights = self._array([weights[name] for name in names])
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        self._check(lib.kw_prepare_on(self.handle, self.weights, stream), "kw_prepare_on")
        torch.cuda.synchronize()

    def _count(self, role):
        return self.lib.kw_buffer_count(self.handle, role)

    def _check(self, status, what):
        if status != 0:
            raise RuntimeError(f"{what}: {self.lib.kw_last_error().decode(errors='replace')}")

    @staticmethod
    def _array(tensors):
        return (ctypes.c_void_p * max(1, len(tensors)))(*[t.data_ptr() for t in tensors])

    def _used(self, role, tensors):
        return self._array([tensors[self.lib.kw_buffer_index(self.handle, role, i)] for i in range(self._count(role))])

    def bind(self, inputs, outputs):
        self.inputs, self.outputs = self._used(b"input", inputs), self._used(b"output", outputs)

    def run(self):
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        status = self.lib.kw_run_on(self.handle, self.inputs, self.outputs, None, None, stream)
        self._check(status, "kw_run_on")

    def poison(self, byte):
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        self._check(self.lib.kw_poison_scratch_on(self.handle, byte, stream), "kw_poison_scratch_on")

    def sync_is_zero(self):
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        zero = self.lib.kw_sync_is_zero_on(self.handle, stream)
        if zero < 0:
            self._check(1, "kw_sync_is_zero_on")
        return zero == 1

    def describe(self):
        text = self.lib.kw_describe(self.handle)
        return text.decode() if text else ""


def draws(workload):
    """(what, inputs): the workload's own draws and one of small whole numbers, which tells a wrong index apart."""
    for seed in range(3):
        torch.manual_seed(seed)
        yield f"seed {seed}", [t.cuda() for t in workload.get_inputs()]
    torch.manual_seed(9)
    yield "whole", [torch.randint(-2, 3, t.shape).to(t.dtype).cuda() for t in workload.get_inputs()]


def deviation(result, oracle):
    """(relative norm, largest |difference| over the oracle's rms, all finite)"""
    difference = result.double() - oracle
    rms = oracle.square().mean().sqrt().clamp_min(1e-300)
    finite = bool(result.isfinite().all())
    return (difference.square().mean().sqrt() / rms).item(), (difference.abs().max() / rms).item(), finite


def first_wrong(result, oracle, bound):
    """Index, got and expected of the first element further off than `bound` times the oracle's rms, and their number."""
    rms = oracle.square().mean().sqrt()
    wrong = ~((result.double() - oracle).abs() <= bound * rms)
    count = int(wrong.sum())
    if not count:
        return ""
    flat = int(wrong.flatten().to(torch.uint8).argmax())
    index = [int(i) for i in torch.unravel_index(torch.tensor(flat), oracle.shape)]
    got, expected = result.flatten()[flat].item(), oracle.flatten()[flat].item()
    return f"{count} of {oracle.numel()} wrong, first {index}: got {got:.6g}, expected {expected:.6g}"


def oracle_of(model, inputs):
    return model.double()(*[t.double() for t in inputs])


def judge(program, workload, row):
    torch.manual_seed(1)
    eager = workload.Model(*workload.get_init_inputs()).cuda().eval()
    torch.manual_seed(1)
    exact = workload.Model(*workload.get_init_inputs()).cuda().eval()
    problems = []
    worst = (0.0, 0.0, 0.0, 0.0)
    keep = []
    for what, inputs in draws(workload):
        expected = eager(*inputs)
        oracle = oracle_of(exact, inputs)
        unit = UNIT[expected.dtype]
        eager_norm, eager_most, _ = deviation(expected, oracle)
        output = torch.empty(expected.shape, dtype=expected.dtype, device="cuda")
        program.bind(inputs, [output])
        answers = []
        for byte in (0xFF, 0x3C):
            output.view(torch.uint8).fill_(byte)
            program.poison(byte)
            program.run()
            torch.cuda.synchronize()
            answers.append(output.clone())
            if not program.sync_is_zero():
                problems.append(f"{what}: sync buffers not zero after the call")
        norm, most, finite = deviation(answers[0], oracle)
        # As docs/numerics.md has it in spirit: twice eager's noise and a unit of its own.
        if not finite or norm > 2 * eager_norm + unit or most > 2 * eager_most + 16 * unit:
            problems.append(
                f"{what}: {first_wrong(answers[0], oracle, 2 * eager_most + 16 * unit)} (norm {norm:.2e}, eager {eager_norm:.2e})"
            )
        if not torch.equal(answers[0].view(torch.uint8), answers[1].view(torch.uint8)):
            count = int((answers[0] != answers[1]).sum())
            problems.append(f"{what}: two calls differ in {count} elements")
        worst = max(worst, (norm, most, eager_norm, eager_most))
        keep = [inputs, output]
        del oracle, expected, answers
    row.update(norm=worst[0], most=worst[1], eager_norm=worst[2], eager_most=worst[3], problems=problems[:4])
    return eager, keep


def time_ms(function, seconds):
    """Median of cold calls: a buffer larger than the L2 cache is rewritten before each, which also hides the launch."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    for _ in range(2):
        function()
    torch.cuda.synchronize()
    samples = []
    stop = time.monotonic() + seconds
    while (len(samples) < 10 or time.monotonic() < stop) and len(samples) < 200:
        pairs = []
        for _ in range(5):
            flush.zero_()
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            function()
            end.record()
            pairs.append((start, end))
        torch.cuda.synchronize()
        samples += [start.elapsed_time(end) for start, end in pairs]
    return sorted(samples)[len(samples) // 2]


def captured(function):
    """The function as one CUDA graph; None where it cannot be captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def measure(program, eager, keep, arguments, row):
    inputs, output = keep
    seconds = arguments.seconds
    if arguments.through == "direct":
        row["ms"] = time_ms(captured(program.run), seconds)
        row["plain_ms"] = time_ms(program.run, seconds)
        if row["name"] == "branches_graph":
            row["side_ms"] = time_ms(captured(program.run_side_by_side), seconds)
            output.view(torch.uint8).fill_(0xFF)
            program.run()
            serial = output.clone()
            captured(program.run_side_by_side)()
            torch.cuda.synchronize()
            if not torch.equal(serial, output):
                row["problems"].append("side by side gives another result")
    else:
        row["ms"] = time_ms(program.run, seconds)
        row["describe"] = program.describe()
    with torch.inference_mode():
        row["eager_ms"] = time_ms(lambda: eager(*inputs), seconds)
        try:
            row["graph_ms"] = time_ms(captured(lambda: eager(*inputs)), seconds)
        except RuntimeError as error:
            row["graph_ms"] = None
            row["note"] = f"eager does not capture: {str(error).splitlines()[0][:80]}"
        if arguments.compile:
            compiled = torch.compile(eager)
            compiled(*inputs)
            row["compile_ms"] = time_ms(lambda: compiled(*inputs), seconds)
            row["compile_graph_ms"] = time_ms(captured(lambda: compiled(*inputs)), seconds)


def one(arguments):
    """In the process of one program: prints its row as JSON on the last line."""
    name = arguments.only
    row = {"name": name, "problems": []}
    try:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        with tempfile.TemporaryDirectory() as work:
            cubin = Path(work) / f"{name}.cubin"
            if arguments.cubins:
                cubin = Path(arguments.cubins) / f"{name}.cubin"
            else:
                launcher.compile_cubin(HERE / name, cubin)
            with torch.inference_mode():
                workload = load_workload(name)
                torch.manual_seed(1)
                model = workload.Model(*workload.get_init_inputs()).cuda().eval()
                weights = {key: tensor.contiguous() for key, tensor in model.state_dict().items()}
                kind = launcher.Direct if arguments.through == "direct" else Runtime
                program = kind(HERE / name, cubin, weights)
                eager, keep = judge(program, workload, row)
            if not arguments.no_time:
                measure(program, eager, keep, arguments, row)
    except Exception as error:
        row["problems"].append(f"{type(error).__name__}: {error}")
        traceback.print_exc()
    print("ROW " + json.dumps(row), flush=True)
    os._exit(0)  # a broken context must not hang in clean-up


def text_of(row):
    figure = lambda key: f"{row[key]:.3f}" if row.get(key) is not None else "-"  # noqa: E731
    verdict = "right" if not row["problems"] else "WRONG"
    unit, work = WORK[row["name"]]
    best = [row[key] for key in ("ms", "side_ms") if row.get(key)]
    rate = f"{work / min(best) / (1e9 if unit == 'TFLOP/s' else 1e6):.1f} {unit}" if best else "-"
    baselines = [row[key] for key in ("eager_ms", "graph_ms", "compile_ms", "compile_graph_ms") if row.get(key)]
    ratio = f"{min(baselines) / min(best):.2f}x" if best and baselines else "-"
    error = f"{row.get('norm', float('nan')):.1e}/{row.get('eager_norm', float('nan')):.1e}"
    line = (
        f"{row['name']:22} {verdict:6} {error:17} {figure('ms'):>8} {figure('side_ms'):>8} {figure('eager_ms'):>8} "
        f"{figure('graph_ms'):>8} {figure('compile_ms'):>8} {ratio:>6}  {rate}"
    )
    for problem in row["problems"]:
        line += f"\n    {problem}"
    if row.get("note"):
        line += f"\n    {row['note']}"
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*sorted(WORK), []])
    parser.add_argument("--through", choices=["direct", "runtime"], default="direct")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-time", action="store_true")
    parser.add_argument("--cubins")
    parser.add_argument("--seconds", type=float, default=0.5, help="of timing per contender")
    parser.add_argument("--limit", type=float, default=90, help="seconds per program")
    parser.add_argument("--verbose", action="store_true", help="show what the processes print")
    parser.add_argument("--json", help="write the rows here")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        one(arguments)
    torch_line = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        torch_line += f", {torch.cuda.get_device_name()}"
    print(
        f"{torch_line}, through {arguments.through}; ms are medians of cold calls; error: norm against fp64, ours/eager's"
    )
    print(
        f"{'program':22} {'':6} {'error':17} {'ms':>8} {'side':>8} {'eager':>8} {'graph':>8} {'compile':>8} {'best/ms':>6}  rate"
    )
    rows = []
    for name in arguments.names or WORK:
        command = [sys.executable, __file__, "--only", name, "--through", arguments.through]
        command += ["--seconds", str(arguments.seconds)]
        command += ["--compile"] if arguments.compile else []
        command += ["--no-time"] if arguments.no_time else []
        command += ["--cubins", arguments.cubins] if arguments.cubins else []
        row = {"name": name, "problems": []}
        with tempfile.TemporaryFile("w+") as log:
            child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                child.wait(arguments.limit)
            except subprocess.TimeoutExpired:
                child.kill()
                row["problems"].append(f"no answer within {arguments.limit:.0f} s: killed")
            log.seek(0)
            printed = log.read()
        found = [line for line in printed.splitlines() if line.startswith("ROW ")]
        if found:
            row = json.loads(found[-1][4:])
        elif not row["problems"]:
            row["problems"].append("died: " + " | ".join(printed.strip().splitlines()[-3:])[:400])
        rows.append(row)
        print(text_of(row), flush=True)
        if arguments.verbose:
            print("\n".join(line for line in printed.splitlines() if not line.startswith("ROW ")))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1))
    sys.exit(1 if any(row["problems"] for row in rows) else 0)


if __name__ == "__main__":
    main()
