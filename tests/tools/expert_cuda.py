# SPDX-License-Identifier: Apache-2.0
"""Runs what the expert proposes for cuda on a GPU: one line per program, right or wrong and how fast.

    PYTHONPATH=python python tests/tools/expert_cuda.py [CASE...] [--count N] [--with TERMS] [--small] [--build DIR]

Modules are exported, lowered and given to the expert (kw_expert_programs of a build folder), compiled by NVRTC and launched
through the driver. Results are compared with the module in fp64; the fp32 module's own deviation stands beside. Times are
medians with a cold L2, GB/s counts inputs, weights and outputs once. Without a GPU the programs are compiled alone."""

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))
from nvrtc_library import nvrtc  # noqa: E402

DEVICE = ROOT / "src/target/cuda/device"


class Expression(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def case(module, *shapes, dtype=torch.float32):
    return (module if isinstance(module, torch.nn.Module) else Expression(module)), shapes, dtype


def cases(small):
    """name: (module, input shapes, dtype). Small sizes have the same structure and odd edges."""
    n = 3 if small else 4096
    f, nn = torch.nn.functional, torch.nn
    h = 64 if small else 1024
    side = 100 if small else 256
    return {
        "relu": case(torch.relu, (n, 4096)),
        "odd": case(lambda x: torch.relu(x) + 1, (n * 37 + 1,)),
        "gelu": case(f.gelu, (n, 4096)),
        "half": case(lambda x, y: torch.sigmoid(x) * y, (n, 4096), (n, 4096), dtype=torch.float16),
        "bfloat": case(lambda x, y: x * y + 1, (n, 4096), (n, 4096), dtype=torch.bfloat16),
        "broadcast": case(lambda x, b, c: (x + b) * c, (n, 4096), (4096,), (n, 1)),
        "two_outputs": case(lambda x, y: (x + y, x * y), (n, 4096), (n, 4096)),
        "transpose": case(lambda x: x.transpose(0, 1) + 1, (n, 4096)),
        "softmax": case(lambda x: torch.softmax(x, -1), (n, 4096)),
        "softmax_long": case(lambda x: torch.softmax(x, -1), (max(2, n // 32), 100000)),
        "softmax_cluster": case(lambda x: torch.softmax(x, -1), (200 if small else n, 65536)),
        "softmax_channels": case(lambda x: torch.softmax(x, 1), (4, 64, 14 if small else 224, 100)),
        "log_softmax": case(lambda x: torch.log_softmax(x, -1), (n, 1000)),
        "layer_norm": case(nn.LayerNorm(h), (n * 4, h)),
        "layer_norm_map": case(nn.LayerNorm((64, side, side)), (3 if small else 32, 64, side, side)),
        "frobenius_norm": case(lambda x: x / torch.linalg.norm(x), (n, 40000)),
        "rms_norm": case(lambda x: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5), (n, 4096)),
        "group_norm": case(nn.GroupNorm(8, 64), (8, 64, 20 if small else 128, 64)),
        "batch_norm": case(nn.BatchNorm2d(64).eval(), (8, 64, 20 if small else 128, 64)),
        "batch_statistics": case(lambda x: (x.mean((0, 2, 3)), x.var((0, 2, 3))), (8, 64, h // 8, 64)),
        "logsumexp": case(lambda x: torch.logsumexp(x, -1), (n, 4096)),
        "row_sum": case(lambda x: x.sum(-1), (n, 4096)),
        "column_sum": case(lambda x: x.sum(0), (n * 8, 512)),
        "tall_sum": case(lambda x: x.mean(0), (n * 256, 64)),
        "whole_sum": case(lambda x: x.sum(), (n, 4096)),
        "maximum": case(lambda x: x.amax(-1), (n, 4097)),
        "argmax": case(lambda x: x.argmax(-1), (n, 4096)),
        "max_pool": case(nn.MaxPool2d(3, 2, 1), (4, 64, 30 if small else 112, 112)),
        "avg_pool": case(nn.AvgPool2d(2), (4, 64, 30 if small else 112, 112)),
        "matmul": case(torch.matmul, (n // 2 + 1, h), (h, n // 2 + 3)),
        "matmul_large": case(torch.matmul, (n, n), (n, n)),
        "linear_gelu": case(nn.Sequential(nn.Linear(n, n), nn.GELU()), (n, n)),
        "conv_large": case(nn.Conv2d(h // 8, h // 4, 3, padding=1), (n // 128 + 1, h // 8, 14 if small else 56, 56)),
        "linear_relu": case(nn.Sequential(nn.Linear(h, h), nn.ReLU()), (n // 4 + 1, h)),
        "matrix_vector": case(torch.mv, (n, 4096), (4096,)),
        "few_outputs": case(torch.matmul, (32, n * 16), (n * 16, 48)),
        "batched": case(torch.bmm, (16, 70 if small else 512, 64), (16, 64, 70 if small else 512)),
        "half_matmul": case(torch.matmul, (n // 4 + 1, h), (h, h), dtype=torch.float16),
        "conv": case(nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()), (n // 256 + 2, 16, h // 16, 56)),
        "conv_stride": case(nn.Conv2d(8, 24, 3, stride=2, groups=2), (2, 8, 15 if small else 113, 57)),
    }


def find_tool(build=None):
    folders = [Path(build)] if build else sorted((ROOT / "build").glob("*"))
    tools = [f / "bin/kw_expert_programs" for f in folders if (f / "bin/kw_expert_programs").exists()]
    if not tools:
        raise FileNotFoundError("kw_expert_programs is not built: `make build` builds it")
    return max(tools, key=lambda t: t.stat().st_mtime)


def make_inputs(shapes, dtype, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def propose(tool, name, entry, folder, count, terms=()):
    """Folders of candidates for a case, the naive one first; with terms those of them that have all."""
    from kernelwright.trace import export_module

    module, shapes, dtype = entry
    module = module.to(dtype).eval()
    names = {id(t): key for key, t in [*module.named_parameters(), *module.named_buffers()]}
    exported = export_module(module, tuple(make_inputs(shapes, dtype)), {}, names)
    header = {"format": 1, "workload": name, "class": "Model", "training": False, "torch": torch.__version__}
    folder.mkdir(parents=True)
    (folder / "graph.json").write_text(json.dumps({**header, **exported.graph}))
    command = [tool, folder / "graph.json", folder, "cuda", str(count), *terms]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr.strip()}")
    made = [folder / str(i) for i in range(count)]
    if not terms:
        made.insert(0, folder / "naive")
    return [path for path in made if path.exists()], exported.weights


def compile_source(lib, source, arch):
    """The cubin, or a RuntimeError with the log."""
    headers = [(p.name.encode(), p.read_bytes()) for p in sorted(DEVICE.glob("*.h"))]
    array = ctypes.c_char_p * len(headers)
    handle, size = ctypes.c_void_p(), ctypes.c_size_t()
    contents, names = array(*(h[1] for h in headers)), array(*(h[0] for h in headers))
    lib.nvrtcCreateProgram(ctypes.byref(handle), source.encode(), b"kernels.cu", len(headers), contents, names)
    options = [f"--gpu-architecture={arch}".encode(), b"--std=c++17"]
    status = lib.nvrtcCompileProgram(handle, len(options), (ctypes.c_char_p * len(options))(*options))
    lib.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetProgramLog(handle, log)
    if status != 0:
        raise RuntimeError(log.value.decode()[:3000])
    lib.nvrtcGetCUBINSize(handle, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetCUBIN(handle, cubin)
    lib.nvrtcDestroyProgram(ctypes.byref(handle))
    return cubin.raw


def deviation(got, exact):
    got, exact = got.double().cpu(), exact.double().cpu()
    scale = exact.abs().mean().clamp_min(1e-30)
    return float(((got - exact).abs() / (exact.abs() + scale)).max())


def first_wrong(got, exact, bound):
    """Index, got and expected of the first element off by more than `bound`, and their number."""
    got, exact = got.double().cpu(), exact.double().cpu()
    scale = exact.abs().mean().clamp_min(1e-30)
    wrong = ~((got - exact).abs() <= bound * (exact.abs() + scale))
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in wrong.nonzero()[0])
    return (
        f"{int(wrong.sum())} of {wrong.numel()} wrong, first {index}: got {got[index]:.7g}, expected {exact[index]:.7g}"
    )


def median_ms(run, seconds=0.3):
    flush = torch.empty(64 << 20, dtype=torch.int32, device="cuda")
    times, spent = [], 0.0
    run()
    while len(times) < 200 and (spent < seconds * 1e3 or len(times) < 5):
        flush.zero_()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
        spent += times[-1] + 0.2
    return sorted(times)[len(times) // 2]


def run_case(name, entry, candidates, weights, lib, arch):
    sys.path.insert(0, str(ROOT / "tests/honest/cuda"))
    import launcher

    module, shapes, dtype = entry
    inputs = [t.cuda() for t in make_inputs(shapes, dtype)]
    with torch.no_grad():
        eager = module.cuda()(*inputs)
        single = isinstance(eager, torch.Tensor)
        eager = [eager] if single else list(eager)
        exact = module.double()(*[t.double() for t in inputs])
        exact = [exact] if single else list(exact)
    module.to(dtype)
    on_device = {key: t.detach().to("cuda") for key, t in weights.items()}
    moved = sum(t.numel() * t.element_size() for t in [*inputs, *eager, *on_device.values()])
    noise = max(deviation(a, b) for a, b in zip(eager, exact, strict=True))
    with torch.no_grad():
        eager_ms = median_ms(lambda: module(*inputs))

    def line(first, second, ms, error, rest=""):
        print(
            f"{first:<18} {second:<6} {ms:9.4f} ms {moved / ms / 1e6:8.0f} GB/s   error {error:.1e} {rest}", flush=True
        )

    line(name, "eager", eager_ms, noise)
    good = True
    for folder in candidates:
        idea = (folder / "idea.txt").read_text().strip()
        try:
            cubin = folder / "kernels.cubin"
            cubin.write_bytes(compile_source(lib, (folder / "kernels.cu").read_text(), arch))
            program = launcher.Direct(folder, cubin, on_device)
            outputs = [torch.full_like(t, 7) for t in eager]
            program.bind(inputs, outputs)
            program.poison(0xFF)
            program.run()
            torch.cuda.synchronize()
            error = max(deviation(a, b) for a, b in zip(outputs, exact, strict=True))
            unit = {torch.float16: 1e-3, torch.bfloat16: 8e-3}.get(dtype, 2e-6)
            right = error <= 4 * noise + 4 * unit and program.sync_is_zero()
            good &= right
            ms = median_ms(program.run)
            verdict = "right" if right else "WRONG"
            for output, reference in zip(outputs, exact, strict=True):
                if what := first_wrong(output, reference, 4 * noise + 4 * unit):
                    print(f"{'':<18} {folder.name:<6} {what}", flush=True)
            line("", folder.name, ms, error, f"{verdict}  {idea[:110]}")
        except RuntimeError as failure:
            good = False
            print(f"{'':<18} {folder.name:<6} FAILED {str(failure)[:400]}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--only", help="numbers of the proposals to run: 0,3")
    parser.add_argument("--with", dest="terms", help='of the proposals those with these: "stay 1,ahead 1"')
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--build")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    tool, lib = find_tool(options.build), nvrtc()
    terms = [term.strip() for term in options.terms.split(",")] if options.terms else []
    gpu = torch.cuda.is_available()
    major, minor = torch.cuda.get_device_capability() if gpu else (9, 0)
    arch = f"sm_{major}{minor}" + ("a" if major >= 9 else "")
    print(torch.cuda.get_device_name() if gpu else "no GPU: compiling only", arch)
    bad = []
    for name, entry in cases(options.small).items():
        if options.names and name not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                candidates, weights = propose(tool, name, entry, Path(folder) / name, options.count, terms)
                if options.only:
                    candidates = [c for c in candidates if c.name in options.only.split(",")]
                if gpu:
                    good = run_case(name, entry, candidates, weights, lib, arch)
                else:
                    for candidate in candidates:
                        compile_source(lib, (candidate / "kernels.cu").read_text(), arch)
                    good = True
                    print(f"{name:<18} compiles", flush=True)
            except Exception as failure:  # noqa: BLE001 - a line per case, whatever it is
                good = False
                print(f"{name:<18} FAILED {type(failure).__name__}: {str(failure)[:600]}", flush=True)
        if not good:
            bad.append(name)
    print("all right" if not bad else f"not right: {' '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
