# SPDX-License-Identifier: Apache-2.0
"""kernelwright.optimize with the program itself: modules as people hold them, in scripts and notebooks."""

import json
import os
import subprocess
import sys

import pytest
import torch
from command_line import ROOT, binary, environment

import kernelwright
from kernelwright.errors import InputError

pytestmark = pytest.mark.timed


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    for name, value in environment(tmp_path, KERNELWRIGHT_PROGRAM=str(binary())).items():
        monkeypatch.setenv(name, value)
    return tmp_path


# What a notebook runs: cells without a file, classes of __main__ that nobody can import.
NOTEBOOK = """
import json, sys
import torch
import kernelwright

def cell(text):
    exec(compile(text, "<cell>", "exec"), globals())

cell('''
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(64, 32)

    def forward(self, x, *, scale=None):
        y = torch.nn.functional.gelu(self.fc(x)) * torch.sigmoid(x[:, :32])
        return {"y": y if scale is None else y * scale, "x": x}
''')
assert Net.__module__ == "__main__"
cell("net = Net().eval()")
x = torch.randn(128, 64)
fast = kernelwright.optimize(net, (x,), budget="1s", target="cpu", quiet=True)
assert isinstance(fast, Net) and type(net) is Net
assert list(fast.state_dict()) == list(net.state_dict()) and fast.fc.weight is net.fc.weight
with torch.no_grad():
    for change in (0.0, 1.0):
        net.fc.bias.add_(change)
        torch.testing.assert_close(fast(x), net(x))
    assert fast(x)["x"] is x
    torch.testing.assert_close(fast(x[:5]), net(x[:5]))
    torch.testing.assert_close(fast(x, scale=2.0), net(x, scale=2.0))
fast(x)["y"].sum().backward()
assert net.fc.weight.grad is not None
again = torch.nn.Sequential(fast, torch.nn.Identity())
torch.testing.assert_close(again(x)["y"], net(x)["y"])
engine = fast.__dict__.get("_kernelwright")
with torch.no_grad():
    taken = engine is not None and engine.accept((x,), {}) is not None
print(json.dumps({"result": fast.kernelwright_result, "taken": taken}))
"""


def test_a_module_of_a_notebook(surroundings):
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        cwd=surroundings,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "python")),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    result = answer["result"]
    assert result["workload"] == "Net" and result["status"] in ("improved", "baseline_kept")
    assert sum(result["verdicts"].values()) > 0
    # Programs run when, and only when, they won.
    assert answer["taken"] == (result["status"] == "improved")


def test_a_module_that_stays_eager(surroundings):
    class Bessel(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("order", torch.arange(8.0))

        def forward(self, x):
            return torch.special.i0(x)

    module = Bessel().eval()
    x = torch.randn(4, 8)
    out = surroundings / "kept"
    same = kernelwright.optimize(module, x, budget="1s", out=out, quiet=True)
    result = same.kernelwright_result
    assert result["status"] == "baseline_kept" and result["reason"]
    assert any("i0" in note["what"] for note in result["eager"]), result["eager"]
    assert (out / "optimized.py").exists() and isinstance(same, Bessel)
    torch.testing.assert_close(same(x), module(x))
    assert same.order is module.order
    # The same folder again is refused, in the program's own words.
    with pytest.raises(InputError, match="exists already"):
        kernelwright.optimize(module, x, budget="1s", out=out, quiet=True)


def test_what_the_program_says_is_what_is_raised(surroundings):
    weights = torch.nn.Linear(4, 4)
    with torch.no_grad():
        weights.bias[0] = float("nan")
    with pytest.raises(InputError, match="weight bias holds NaN"):
        kernelwright.optimize(weights, torch.randn(2, 4), budget="1s", quiet=True)
    with pytest.raises(InputError, match="budget"):
        kernelwright.optimize(torch.nn.ReLU(), torch.randn(2, 4), budget="soon", quiet=True)
    with pytest.raises(InputError, match="does not export|forward"):
        kernelwright.optimize(torch.nn.Linear(4, 4), torch.randn(2, 5), budget="1s", quiet=True)
    assert not any(surroundings.glob("**/*.partial"))
