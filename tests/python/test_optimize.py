# SPDX-License-Identifier: Apache-2.0
"""kernelwright.optimize with a stand-in for the program: what it hands over, and what it makes of the answer."""

import os
import sys
from pathlib import Path

import artifacts
import pytest
import torch

import kernelwright
from kernelwright.errors import EnvironmentError_, InputError, KernelwrightError

STAND_IN = """#!{python}
import json, shutil, sys
from pathlib import Path
sys.path[:0] = {path!r}
args = sys.argv[1:]
assert args[:2] == ["--json", "optimize"] or args[:3] == ["--json", "--quiet", "optimize"], args
place = args.index("optimize") + 1
options = dict(zip(args[place + 1 :: 2], args[place + 2 :: 2]))
if options.get("--budget") == "0s":
    print(json.dumps({{"error": {{"kind": "usage", "message": "no budget"}}}}))
    sys.exit(2)
import artifacts
out = Path(options["--out"])
out.mkdir(parents=True)
shutil.copy(args[place], out / "original.pt2")
def choose(graph):
    return [(artifacts.nodes_named(graph, "relu"), [artifacts.RELU])]
artifacts.make_of(out, "original.pt2", choose, Path({shared!r}))
print(json.dumps({{"status": "improved", "artifact": str(out), "options": options}}))
"""


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(16, 8)
        self.shift = torch.tensor([0.25])

    def forward(self, x, scale=None):
        y = torch.relu(self.fc(x) + self.shift)
        return {"y": y if scale is None else y * scale}


@pytest.fixture
def program(tmp_path, monkeypatch):
    (tmp_path / "obj").mkdir()
    shared = artifacts.build_object(tmp_path / "obj")
    here = Path(__file__).resolve()
    path = [str(here.parent), str(here.parents[2] / "python")]
    script = tmp_path / "kernelwright"
    script.write_text(STAND_IN.format(python=sys.executable, path=path, shared=str(shared)))
    script.chmod(0o755)
    monkeypatch.setenv("KERNELWRIGHT_PROGRAM", str(script))
    return script


def test_a_module_comes_back(program):
    module = Net().eval()
    x = torch.randn(4, 16)
    fast = kernelwright.optimize(module, x, budget="1s", target="cpu", threads=2)
    assert fast.kernelwright_result["options"] == {
        "--target": "cpu",
        "--budget": "1s",
        "--threads": "2",
        "--out": fast.kernelwright_result["artifact"],
    }
    assert isinstance(fast, Net) and list(fast.state_dict()) == list(module.state_dict())
    assert fast.fc.weight is module.fc.weight and type(module) is Net
    engine = fast.__dict__["_kernelwright"]
    with torch.no_grad():
        assert engine.accept((x,), {}) is not None
        torch.testing.assert_close(fast(x), module(x))
        module.fc.bias.add_(1)
        torch.testing.assert_close(fast(x), module(x))
        assert engine.accept((torch.randn(5, 16),), {}) is None
        torch.testing.assert_close(fast(x, scale=2.0), module(x, scale=2.0))
    fast(x)["y"].sum().backward()
    assert module.fc.weight.grad is not None


def test_failures_are_one_line(program, monkeypatch):
    x = torch.randn(4, 16)
    with pytest.raises(InputError, match="no budget"):
        kernelwright.optimize(Net(), x, budget="0s")
    with pytest.raises(InputError, match="nn.Module"):
        kernelwright.optimize(torch.relu, x)

    class Branches(torch.nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(InputError, match="does not export") as refused:
        kernelwright.optimize(Branches(), x)
    assert "\n" not in str(refused.value)
    monkeypatch.setenv("KERNELWRIGHT_PROGRAM", os.devnull + "/none")
    with pytest.raises(EnvironmentError_, match="KERNELWRIGHT_PROGRAM"):
        kernelwright.optimize(Net(), x)
    program.write_text("#!/bin/sh\nexit 4\n")
    monkeypatch.setenv("KERNELWRIGHT_PROGRAM", str(program))
    with pytest.raises(KernelwrightError, match="ended with 4"):
        kernelwright.optimize(Net(), x)
