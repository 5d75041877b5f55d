# SPDX-License-Identifier: Apache-2.0
"""`archive export --format kernelbench`: a file that runs from a string without kernelwright."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import artifacts
import pytest


from kernelwright import optimizing

pytestmark = pytest.mark.timed

SOURCE = """import torch
class Model(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand(width) + 0.5)
        self.register_buffer("seen", torch.zeros(1))
    def forward(self, x):
        self.seen += 1
        y = torch.tanh(torch.relu(x) * self.scale)
        return y, x.reshape(-1).sum()
SIZES = {"cpu": {"rows": 6}}
rows = 5
def get_inputs():
    return [torch.randn(rows, 8)]
def get_init_inputs():
    return [8]
"""
CHECK = """import sys
assert not any(p.rstrip("/").endswith("python") and "kernelwright" in p for p in sys.path)
space = {}
exec(compile(open(sys.argv[1]).read(), "<string>", "exec"), space)
import torch
assert "kernelwright" not in sys.modules
torch.manual_seed(3)
old = space["Model"](*space["get_init_inputs"]())
torch.manual_seed(3)
new = space["ModelNew"](*space["get_init_inputs"]())
calls = []
for unit in new._plan.units:
    if hasattr(unit, "call"):
        inner = unit.call
        unit.call = lambda *a, inner=inner: (calls.append(a[0]), inner(*a))
def same(x):
    for a, b in zip(new(x), old(x)):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(new.seen, old.seen)
with torch.no_grad():
    x = space["get_inputs"]()[0]
    assert x.shape == (6, 8)
    same(x)
    assert calls == [0, 1]
    same(torch.randn(8, 6).t())
    assert calls == [0, 1, 1]
    new.scale.mul_(3); old.scale.mul_(3)
    same(x)
    assert calls[-2:] == [0, 1]
    same(torch.randn(4, 8))
assert len(calls) == 5
new(x)[0].sum().backward()
assert new.scale.grad is not None and len(calls) == 5
print("as the original")
"""
PACK = """
extern "C" void pack(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) OUT(1)[i] = IN(0)[i];
}
extern "C" void split(const kw_args* a, int64_t, int64_t) {  // a team's two phases: relu, then the product
  const int64_t n = a->values[0].i64, from = n * a->worker / a->worker_count, to = n * (a->worker + 1) / a->worker_count;
  float* own = (float*)a->scratch;
  own[0] = a->values[1].f32;
  for (int64_t i = from; i < to; ++i) OUT(2)[i] = IN(0)[i] > own[0] ? IN(0)[i] : own[0];
  a->barrier(a->team);
  for (int64_t i = from; i < to; ++i) OUT(3)[i] = OUT(2)[i] * IN(1)[i % WIDTH] * IN(4)[0];
}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run in an archive of its own, whose folder is a hand-made artifact."""
    program = optimizing.find_program()
    monkeypatch.setattr(artifacts, "KERNELS", artifacts.KERNELS + "#ifndef WIDTH\n#define WIDTH 8\n#endif\n" + PACK)
    shared = artifacts.build_object(tmp_path)
    extra = {
        "p": {"role": "packed", "dtype": "f32", "shape": ["WIDTH"]},
        "h": {"role": "scratch", "dtype": "f32", "shape": [6, 8]},
        "h2": {"role": "scratch", "dtype": "f32", "shape": [6, 8]},
        "one": {"role": "table", "dtype": "f32", "values": [1]},
    }

    def choose(graph):
        numbers = [{"i64": 48}, {"f32": 0}]
        steps = [
            {"repeat": 2, "swap": [["h", "h2"]], "body": [{"fill": {"buffer": "h", "value": 0.5}}]},
            {
                "kernel": "split",
                "team": True,
                "scratch_bytes": 64,
                "args": ["x0", "p", {"out": "h"}, {"out": "y0"}, "one", *numbers],
            },
        ]
        prepare = [{"kernel": "pack", "grid": ["WIDTH"], "args": ["w0", {"out": "p"}]}]
        return [(artifacts.nodes_named(graph, "relu", "mul"), steps, extra, prepare)]

    folder = artifacts.make(tmp_path / "a", SOURCE, choose, shared)
    text = (folder / "programs" / "r0" / "program.json").read_text()
    made = json.loads(text) | {"params": {"WIDTH": 8}}
    for step in made["run"]:
        if "repeat" in step:
            step.pop("grid")
    (folder / "programs" / "r0" / "program.json").write_text(json.dumps(made))
    (folder / "programs" / "r0" / "k.cpp").write_text(artifacts.KERNELS)
    environment = {**os.environ, "KERNELWRIGHT_DATA_DIR": str(tmp_path / "data")}
    subprocess.run([program, "archive", "list"], env=environment, check=True, capture_output=True)
    database = next(p for p in (tmp_path / "data").rglob("*") if p.is_file() and p.read_bytes()[:6] == b"SQLite")
    with sqlite3.connect(database) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(run)")]
        values = {"id": "r", "workload": "original", "out_dir": str(folder), "status": "improved"}
        row = [values.get(column, "") for column in columns]
        connection.execute(f"INSERT INTO run VALUES ({','.join('?' * len(columns))})", row)

    def export(*options):
        command = [program, "archive", "export", *map(str, options)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return folder, export


def test_the_file_runs_from_a_string(run, tmp_path):
    _, export = run
    out = tmp_path / "bench.py"
    done = export("r", "--format", "kernelbench", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"TORCH_EXTENSIONS_DIR": str(tmp_path / "build"), "OMP_NUM_THREADS": "2", "MAX_JOBS": "2"}
    check = subprocess.run(
        [sys.executable, "-c", CHECK, out], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr[-3000:]
    assert check.stdout.strip() == "as the original"


def test_what_is_gone_or_has_no_such_form_is_said(run, tmp_path):
    folder, export = run
    (folder / "original.py").rename(folder / "original.pt2")
    done = export("r", "--format", "kernelbench", "--out", tmp_path / "b.py")
    assert done.returncode == 2 and "Python file" in done.stderr
    (folder / "result.json").unlink()
    done = export("r", "--format", "kernelbench", "--out", tmp_path / "b.py")
    assert done.returncode == 2 and "is not there" in done.stderr
    assert not Path(tmp_path / "b.py").exists()
