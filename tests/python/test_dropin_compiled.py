# SPDX-License-Identifier: Apache-2.0
"""The drop-in under torch.compile: one opaque op per region."""

import artifacts
import pytest
import torch

from kernelwright.dropin import load_artifact

SOURCE = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand(8) + 0.5)
    def forward(self, x):
        return torch.tanh(torch.relu(x) * self.scale)
def get_inputs():
    return [torch.randn(6, 8)]
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    shared = artifacts.build_object(tmp_path_factory.mktemp("object"))

    def choose(graph):
        step = {"kernel": "relu_times", "args": ["x0", "w0", {"out": "y0"}, {"i64": 8}]}
        return [(artifacts.nodes_named(graph, "relu", "mul"), [step])]

    return artifacts.make(folder / "a", SOURCE, choose, shared)


@pytest.fixture
def graphs():
    """What Dynamo hands to a backend."""
    torch._dynamo.reset()
    return []


def compiled(module, graphs):
    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    return torch.compile(module, backend=backend, fullgraph=True)


def ops(graphs):
    return [str(n.target) for g in graphs for n in g.graph.nodes if n.op == "call_function"]


def test_dynamo_sees_one_op_per_region(artifact, graphs):
    module = load_artifact(artifact)()
    x = torch.randn(6, 8)
    expected = torch.tanh(torch.relu(x) * module.scale.detach())
    with torch.no_grad():
        result = compiled(module, graphs)(x)
    assert torch.allclose(result, expected)
    assert sum("run_region" in op for op in ops(graphs)) == 1
    assert any("tanh" in op for op in ops(graphs)) and not any("relu" in op for op in ops(graphs))


def test_new_weights_are_prepared_inside_a_compiled_call(artifact, graphs):
    module = load_artifact(artifact)()
    x = torch.randn(6, 8)
    with torch.no_grad():
        call = compiled(module, graphs)
        call(x)
        module.scale.mul_(3.0)
        assert torch.allclose(call(x), torch.tanh(torch.relu(x) * module.scale))
        module.scale = torch.nn.Parameter(torch.full((8,), 2.0))
        assert torch.allclose(call(x), torch.tanh(torch.relu(x) * 2))


def test_gradients_and_other_shapes_compile_the_original(artifact, graphs):
    module = load_artifact(artifact)()
    result = compiled(module, graphs)(torch.randn(6, 8))
    result.sum().backward()
    assert module.scale.grad is not None
    with torch.no_grad():
        compiled(module, graphs)(torch.randn(5, 8))
    assert not any("run_region" in op for op in ops(graphs))


def test_inductor_runs_it(artifact, graphs):
    module = load_artifact(artifact)()
    x = torch.randn(6, 8)
    with torch.no_grad():
        result = torch.compile(module)(x)
        assert torch.allclose(result, torch.tanh(torch.relu(x) * module.scale))


def test_a_dynamo_that_thinks_it_exports(artifact, graphs, monkeypatch):
    """Until PyTorch 2.13, torch.compiler.is_exporting() is true under torch.compile as well."""
    call = compiled(load_artifact(artifact)(), graphs)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    with torch.no_grad():
        call(torch.randn(6, 8))
    assert sum("run_region" in op for op in ops(graphs)) == 1


@pytest.mark.parametrize("strict", (False, True))
def test_what_is_exported_is_the_original(artifact, strict):
    module = load_artifact(artifact)()
    with torch.no_grad():
        exported = torch.export.export(module, (torch.randn(6, 8),), strict=strict)
    assert not any("run_region" in str(n.target) for n in exported.graph.nodes)
