# SPDX-License-Identifier: Apache-2.0
"""torch.compile(module, backend="kernelwright"): capture, fallbacks, and one run with the real program."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import kernelwright
from kernelwright import dynamo_backend, optimizing
from kernelwright.errors import InputError

pytestmark = pytest.mark.timed


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(64, 64)
        self.register_buffer("offset", torch.randn(64))

    def forward(self, x):
        return torch.softmax(torch.relu(self.fc(x)) + self.offset, -1)


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    torch._dynamo.reset()
    monkeypatch.setenv("KERNELWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    dynamo_backend._said.clear()


def eager(*_, **__):
    raise InputError("not here")


def test_the_backend_has_a_name_without_importing_dynamo():
    assert "kernelwright" in torch._dynamo.list_backends()
    code = "import kernelwright, sys; assert 'torch' not in sys.modules; import torch; assert 'torch._dynamo.backends.registry' not in sys.modules"
    code += "; import torch._dynamo; assert 'kernelwright' in torch._dynamo.list_backends()"
    path = str(Path(kernelwright.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": path, "PATH": ""})


def test_parameters_and_buffers_are_no_inputs(monkeypatch):
    seen = {}

    def optimize(module, inputs, **options):
        seen.update(module=module, inputs=inputs, options=options)
        raise InputError("not here")

    monkeypatch.setattr(optimizing, "optimize", optimize)
    module, x = Small(), torch.randn(8, 64)
    with torch.no_grad(), pytest.warns(UserWarning, match="not here"):
        call = torch.compile(module, backend="kernelwright", options={"budget": "3s"})
        assert torch.allclose(call(x), module(x))
    assert len(seen["inputs"]) == 1 and seen["inputs"][0].shape == (8, 64)
    assert {tuple(t.shape) for t in seen["module"].state_dict().values()} == {(64, 64), (64,)}
    assert seen["options"]["budget"] == "3s" and seen["options"]["policy"] == "strict"


def test_gradients_and_odd_graphs_run_in_eager(monkeypatch):
    monkeypatch.setattr(optimizing, "optimize", eager)
    module, x = Small(), torch.randn(8, 64)
    with pytest.warns(UserWarning, match="gradients"):
        torch.compile(module, backend="kernelwright")(x).sum().backward()
    assert module.fc.weight.grad is not None
    torch._dynamo.reset()
    with torch.no_grad(), pytest.warns(UserWarning, match="vary"):
        call = torch.compile(module, backend="kernelwright", dynamic=True)
        assert torch.allclose(call(x), module(x))


def test_an_unknown_option_is_named():
    with torch.no_grad(), pytest.raises(Exception, match="unknown option 'speed'"):
        torch.compile(Small(), backend="kernelwright", options={"speed": 9})(torch.randn(8, 64))


def test_replaced_parameters_are_taken_over():
    graph = torch.fx.symbolic_trace(lambda x, w: x * w)
    captured = dynamo_backend._Captured(graph, {1: torch.nn.Parameter(torch.ones(3))})
    other = torch.nn.Parameter(torch.full((3,), 2.0))
    x = torch.ones(3)
    assert captured.hold((x, other)) == [x]
    assert torch.equal(captured(x), torch.full((3,), 2.0))


def test_from_the_program_to_the_call_and_from_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KERNELWRIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KERNELWRIGHT_BUDGET", "2s")
    module, x = Small(), torch.randn(512, 64)
    with torch.no_grad():
        expected = module(x)
        assert torch.allclose(torch.compile(module, backend="kernelwright")(x), expected, rtol=1e-4, atol=1e-6)
        kept = list(dynamo_backend.cache_folder().iterdir())
        assert len(kept) == 1 and (kept[0] / "result.json").is_file()
        torch._dynamo.reset()
        monkeypatch.setattr(optimizing, "optimize", eager)
        again = torch.compile(module, backend="kernelwright")
        assert torch.allclose(again(x), expected, rtol=1e-4, atol=1e-6)
        module.fc.weight.mul_(0.5)
        assert torch.allclose(again(x), module(x), rtol=1e-4, atol=1e-6)
    assert not dynamo_backend._said
