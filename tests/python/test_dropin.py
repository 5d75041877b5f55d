# SPDX-License-Identifier: Apache-2.0
"""The drop-in on hand-made artifacts. Kernels differ from the module by a sign or a constant where a test must
see which of the two ran."""

import copy
import io
import json
import threading

import artifacts
import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from kernelwright import native, shortcuts
from kernelwright.dropin import attach, load_artifact
from kernelwright.errors import EnvironmentError_, InputError

# The kernel beside it is plain relu: an answer below zero tells that the original ran.
RELU = """import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x)
def get_inputs():
    return [torch.randn(8, 40)]
"""
SCALED = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.rand(40))
    def forward(self, x):
        return torch.relu(x) * self.gain
def get_inputs():
    return [torch.randn(8, 40)]
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return artifacts.build_object(tmp_path_factory.mktemp("kernels"))


def whole(steps, extra=None, prepare=()):
    return lambda graph: [([n["name"] for n in graph["nodes"]], steps, extra, prepare)]


def engine(module):
    return module.__dict__["_kernelwright"]


def ran_native(module, *args, **kwargs):
    """Whether a call went through the program."""
    return engine(module).accept(args, kwargs) is not None


@pytest.fixture(scope="module")
def relu(tmp_path_factory, kernels):
    return artifacts.make(tmp_path_factory.mktemp("relu"), RELU, whole([artifacts.RELU]), kernels)


@pytest.fixture
def scaled(tmp_path, kernels):
    """Packs its weight: a stale pack shows."""
    return artifacts.make(
        tmp_path,
        SCALED,
        whole(
            [{"kernel": "relu_times", "args": ["x0", "wp", {"out": "y0"}, {"i64": 40}]}],
            {"wp": {"role": "packed", "dtype": "f32", "shape": [40]}},
            [{"kernel": "copy", "grid": [40], "args": ["w0", {"out": "wp"}]}],
        ),
        kernels,
    )


def test_runs_the_program(relu):
    model = load_artifact(relu / "optimized.py")()
    x = torch.randn(8, 40)
    assert ran_native(model, x)
    assert torch.equal(model(x), torch.relu(x))
    assert engine(model)._direct is not None
    with torch.inference_mode():
        assert torch.equal(model(x), torch.relu(x))
    assert type(model).__name__ == "ModelNew"


def test_optimized_py_is_an_ordinary_module(relu):
    namespace = {"__file__": str(relu / "optimized.py"), "__name__": "optimized"}
    exec((relu / "optimized.py").read_text(), namespace)
    x = torch.randn(8, 40)
    assert torch.equal(namespace["ModelNew"]()(x), torch.relu(x))


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(9, 40),
        torch.randn(8, 40).double(),
        torch.randn(8, 40).bfloat16(),
        torch.randn(8, 40, requires_grad=True),
        torch.randn(8, 40, device="meta"),
        torch.nn.Parameter(torch.randn(8, 40)),
    ],
)
def test_other_inputs_go_to_the_original(relu, x):
    model = load_artifact(relu)()
    assert not ran_native(model, x)
    result = model(x)
    assert result.shape == x.shape and result.dtype == x.dtype and result.device == x.device
    if not x.is_meta:
        assert torch.equal(result, torch.relu(x))


def test_other_surroundings_go_to_the_original(relu):
    model = load_artifact(relu)()
    x = torch.randn(8, 40)
    with torch.autocast("cpu", torch.bfloat16):
        assert not ran_native(model, x)
    model.train(not model.training)
    assert not ran_native(model, x)
    model.train(not model.training)
    assert ran_native(model, x)
    assert torch.equal(torch.func.vmap(model)(x.expand(3, 8, 40)), torch.relu(x).expand(3, 8, 40))
    y = torch.randn(8, 40, requires_grad=True)
    model(y).sum().backward()
    assert torch.equal(y.grad, (y > 0).float())


class Watching(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "dispatch mode": Watching,
    "fake mode": lambda: FakeTensorMode(allow_non_fake_inputs=True),
    "forward gradients": torch.autograd.forward_ad.dual_level,
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_a_kind_of_call_that_is_known_is_not_taken_on_trust(relu, name):
    model = load_artifact(relu)()
    x = torch.randn(8, 40)
    assert ran_native(model, x)
    assert engine(model)._recognize(x)
    with SURROUNDINGS[name]():
        assert not ran_native(model, x)
    assert ran_native(model, x)


def test_functions_of_functions_reach_the_original(relu):
    model = load_artifact(relu)()
    x = torch.randn(8, 40)
    for _ in range(2):
        assert ran_native(model, x)
        assert torch.equal(torch.func.grad(lambda a: model(a).sum())(x), (x > 0).float())
        assert torch.equal(torch.func.vmap(lambda _: model(x))(torch.arange(3)), torch.relu(x).expand(3, 8, 40))
        _, tangent = torch.func.jvp(model, (x,), (torch.ones_like(x),))
        assert torch.equal(tangent, (x > 0).float())
        traced = torch.jit.trace(model, (x,))
        y = torch.randn(8, 40)
        assert torch.equal(traced(y), torch.relu(y))


def test_other_tensors_than_the_known_kind(relu):
    model = load_artifact(relu)()
    x = torch.randn(8, 40)
    for _ in range(2):
        assert ran_native(model, x)
        for other in (
            torch._neg_view(x),
            x.double(),
            torch.randn(9, 40),
            x.clone().requires_grad_(),
            x.as_subclass(type("Sub", (torch.Tensor,), {})),
            x.to_sparse(),
        ):
            assert not ran_native(model, other)
        # Another order of its elements, another address: still a tensor that the program was judged for.
        for other in (torch.randn(40, 8).t(), torch.randn(321)[1:].view(8, 40)):
            assert ran_native(model, other)
            assert torch.equal(model(other), torch.relu(other))


def test_without_pytorchs_own_shortcuts(relu, monkeypatch):
    monkeypatch.setattr(shortcuts, "_guards", None)
    model = load_artifact(relu)()
    x = torch.randn(8, 40)
    assert ran_native(model, x)
    assert engine(model)._recognize is None
    assert torch.equal(model(x), torch.relu(x))


def test_memory_of_any_shape_is_as_pytorch_makes_it():
    for shape in ((), (0,), (3, 0, 2), (1, 1), (2, 1, 3)):
        for dtype in (torch.float32, torch.int64, torch.bool, torch.bfloat16):
            made, plain = shortcuts.empty_maker(shape, dtype, torch.device("cpu"))(), torch.empty(shape, dtype=dtype)
            assert (made.shape, made.stride(), made.dtype, made.device) == (
                plain.shape,
                plain.stride(),
                plain.dtype,
                plain.device,
            )
            assert made.data_ptr() % 64 == 0
            assert shortcuts.recognizer([plain])(made)


def test_callers_of_ever_other_kinds_are_examined(relu):
    model = load_artifact(relu)()
    a = torch.randn(8, 40)
    with torch.inference_mode():
        b = torch.randn(8, 40)
    for _ in range(20):
        for x in (a, b):
            assert ran_native(model, x)
    assert engine(model)._recognizers_left == 0


def test_odd_strides_and_addresses_are_copied(relu):
    model = load_artifact(relu)()
    for x in (torch.randn(40, 8).t(), torch.randn(321)[1:].view(8, 40), torch.randn(16, 40)[::2]):
        assert ran_native(model, x)
        assert torch.equal(model(x), torch.relu(x))


def test_arguments_by_name(relu):
    model = load_artifact(relu)()
    x = torch.randn(8, 40)
    assert ran_native(model, x=x)
    assert torch.equal(model(x=x), torch.relu(x))
    with pytest.raises(TypeError):
        model(x, x)


def test_weight_changes_are_seen(scaled):
    model = load_artifact(scaled)()
    x = torch.randn(8, 40)
    assert list(model.state_dict()) == ["gain"]

    def check(prepared):
        with torch.no_grad():
            assert ran_native(model, x)
            assert torch.equal(model(x), torch.relu(x) * model.gain)
        assert engine(model).prepare_count == prepared

    check(1)
    check(1)
    with torch.no_grad():
        model.gain.mul_(2)
    check(2)
    model.load_state_dict({"gain": torch.rand(40)})
    check(3)
    model.gain.data = torch.rand(40)
    check(4)
    model.gain = torch.nn.Parameter(torch.rand(40))
    check(5)
    # Gradients required: the original.
    assert not ran_native(model, x)
    model(x).sum().backward()
    assert model.gain.grad is not None
    model.double()
    with torch.no_grad():
        assert not ran_native(model, x)
    model.float()
    check(6)


def test_refresh_for_weights_without_versions(scaled):
    with torch.inference_mode():
        model = load_artifact(scaled)()
        x = torch.randn(8, 40)
        assert torch.equal(model(x), torch.relu(x) * model.gain)
        model.gain.mul_(3)
        model.refresh()
        assert torch.equal(model(x), torch.relu(x) * model.gain)


def test_copies_are_independent(scaled):
    model = load_artifact(scaled)()
    x = torch.randn(8, 40)
    with torch.no_grad():
        model(x)
        other = copy.deepcopy(model)
        other.gain.mul_(5)
        assert ran_native(other, x)
        assert torch.equal(other(x), torch.relu(x) * other.gain)
        assert torch.equal(model(x), torch.relu(x) * model.gain)
        assert engine(other) is not engine(model)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other.load_state_dict(torch.load(buffer))
    with torch.no_grad():
        assert torch.equal(other(x), model(x))


def test_threads(scaled):
    model = load_artifact(scaled)()
    inputs = [torch.randn(8, 40) for _ in range(8)]
    failures = []

    def work(x):
        with torch.inference_mode():
            for _ in range(50):
                if not torch.equal(model(x), torch.relu(x) * model.gain):
                    failures.append(1)

    threads = [threading.Thread(target=work, args=(x,)) for x in inputs]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failures


NESTED = """import torch
class Model(torch.nn.Module):
    def forward(self, x, pair, flag=True, *, extra):
        y = torch.relu(x)
        return {"y": y, "same": x, "view": x.view(40, 8), "list": [y.exp(), (pair[0] + extra, None, 3)], "again": y}
def get_inputs():
    return {"x": torch.randn(8, 40), "pair": [torch.randn(3), torch.randn(2)], "flag": True, "extra": torch.randn(3)}
"""


def test_nested_and_aliased_results(tmp_path, kernels):
    folder = artifacts.make(tmp_path, NESTED, lambda g: [(artifacts.nodes_named(g, "relu"), [artifacts.RELU])], kernels)
    model = load_artifact(folder)()
    x, a, b, e = torch.randn(8, 40), torch.randn(3), torch.randn(2), torch.randn(3)
    call = {"x": x, "pair": [a, b], "flag": True, "extra": e}
    assert ran_native(model, **call)
    result = model(**call)
    assert result["same"] is x and result["again"] is result["y"]
    assert result["view"].data_ptr() == x.data_ptr() and result["view"].shape == (40, 8)
    assert torch.equal(result["y"], torch.relu(x))
    assert torch.equal(result["list"][0], torch.relu(x).exp())
    assert torch.equal(result["list"][1][0], a + e) and result["list"][1][1:] == (None, 3)
    # Another constant than the graph presumes.
    assert not ran_native(model, **{**call, "flag": False})
    assert not ran_native(model, **{**call, "flag": 1})


TWO = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.offset = torch.tensor([0.5])
    def forward(self, x):
        return torch.relu(torch.sigmoid(torch.relu(x)) - self.offset * 1.5)
def get_inputs():
    return [torch.randn(8, 40)]
"""


def counted_parks(monkeypatch):
    parks = []
    monkeypatch.setattr(native, "park", lambda: parks.append(1))
    return parks


def test_regions_with_eager_between(tmp_path, kernels, monkeypatch):
    parks = counted_parks(monkeypatch)
    folder = artifacts.make(
        tmp_path, TWO, lambda g: [([n], [artifacts.RELU]) for n in artifacts.nodes_named(g, "relu")], kernels
    )
    model = load_artifact(folder)()
    x = torch.randn(8, 40)
    assert ran_native(model, x)
    assert torch.equal(model(x), torch.relu(torch.sigmoid(torch.relu(x)) - 0.75))
    assert len(engine(model)._programs) == 2 and engine(model)._direct is None
    assert len(parks) == 1, "once: before the sigmoid, not at the end of the call"


STATE = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
    def forward(self, x):
        self.seen.add_(1)
        return x + self.seen
def get_inputs():
    return [torch.randn(8, 40)]
"""


def test_states_are_written_back(tmp_path, kernels):
    native_step = [{"kernel": "step", "grid": [320], "grain": 320, "args": ["x0", {"inout": "s0"}, {"out": "y0"}]}]
    model = load_artifact(artifacts.make(tmp_path / "a", STATE, whole(native_step), kernels))()
    eager = load_artifact(artifacts.make(tmp_path / "b", STATE, lambda g: [], kernels))()
    x = torch.randn(8, 40)
    for expected in (1, 2, 3):
        assert torch.equal(model(x), eager(x))
        assert float(model.seen) == expected
    assert engine(model).prepare_count == 1
    model.load_state_dict({"seen": torch.tensor([10.0])})
    assert torch.equal(model(x), x + 11)


TIED = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(4, 4, bias=False)
        self.b = torch.nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight
    def forward(self, x):
        return torch.relu(self.b(self.a(x)))
def get_inputs():
    return [torch.randn(8, 4)]
"""


def test_tied_weights(tmp_path, kernels):
    folder = artifacts.make(tmp_path, TIED, lambda g: [(artifacts.nodes_named(g, "relu"), [artifacts.RELU])], kernels)
    model = load_artifact(folder)()
    assert list(model.state_dict()) == ["a.weight", "b.weight"]
    x = torch.randn(8, 4)
    reference = lambda: torch.relu(x @ model.a.weight.t() @ model.b.weight.t())  # noqa: E731
    with torch.no_grad():
        assert ran_native(model, x)
        torch.testing.assert_close(model(x), reference())
        model.b.weight = torch.nn.Parameter(torch.randn(4, 4))  # no longer tied
        assert not ran_native(model, x)
        torch.testing.assert_close(model(x), reference())
        model.b = torch.nn.Linear(4, 4, bias=False)
        assert not ran_native(model, x)
        torch.testing.assert_close(model(x), reference())


PARTS = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Sequential(torch.nn.Linear(40, 40), torch.nn.ReLU())
    def forward(self, x):
        y = self.head(x)
        return y * 2 if float(y.sum()) > 0 else -y
def get_inputs():
    return [torch.randn(8, 40)]
"""


def test_a_part_of_a_module(tmp_path, kernels, monkeypatch):
    parks = counted_parks(monkeypatch)
    folder = artifacts.make(tmp_path, PARTS, lambda g: [(artifacts.nodes_named(g, "relu"), [artifacts.RELU])], kernels)
    model = load_artifact(folder)()
    x = torch.randn(8, 40)
    with torch.no_grad():
        result = model(x)
        head = torch.nn.functional.linear(x, model.head[0].weight, model.head[0].bias)
        assert torch.equal(result, 2 * torch.relu(head))
        engines = [m.__dict__["_kernelwright"] for m in model.modules() if "_kernelwright" in m.__dict__]
        assert sum(e.prepare_count for e in engines) == 1
        assert len(parks) == 1, "the rest of the module is eager"
        assert torch.equal(copy.deepcopy(model)(x), result)


def test_hooks_are_honoured(tmp_path, kernels):
    folder = artifacts.make(tmp_path, TIED, lambda g: [(artifacts.nodes_named(g, "relu"), [artifacts.RELU])], kernels)
    model = load_artifact(folder)()
    x, seen = torch.randn(8, 4), []
    with torch.no_grad():
        model(x)
        handle = model.a.register_forward_hook(lambda *_: seen.append(1))
        model(x)
        handle.remove()
        assert seen == [1] and ran_native(model, x)


def test_another_machine_or_runtime_is_refused_in_one_line(relu, tmp_path):
    import shutil

    for changes, words in (({"abi": 999}, "ABI 999"), ({"cpu_features": "x86_64 warp9"}, "warp9")):
        folder = tmp_path / words.replace(" ", "")
        shutil.copytree(relu, folder)
        result = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**result, **changes}))
        with pytest.raises(EnvironmentError_, match=words) as refused:
            load_artifact(folder)
        assert "\n" not in str(refused.value) and "verify" in str(refused.value)


READS = """
from pathlib import Path
import torch

TABLE = torch.tensor([float(x) for x in (Path(__file__).parent / "tables" / "scale.txt").read_text().split()])

class Model(torch.nn.Module):
    def forward(self, x):
        return x * TABLE

def get_inputs():
    return [torch.randn(4, 3)]
"""
READS_LATER = """
from pathlib import Path
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.load(Path(__file__).parent / "scale.pt")
    def forward(self, x):
        return x * self.table

def get_inputs():
    return [torch.randn(4, 3)]
"""


def test_a_data_file_that_did_not_travel_is_named(tmp_path, kernels):
    for source, name in ((READS, "tables/scale.txt"), (READS_LATER, "scale.pt")):
        folder, home = tmp_path / name.replace("/", "_"), tmp_path / "home"
        data = folder / name
        data.parent.mkdir(parents=True)
        data.write_text("1 2 3")
        if name.endswith(".pt"):
            torch.save(torch.tensor([1.0, 2.0, 3.0]), data)
        artifacts.make(folder, source, lambda graph: [], kernels)
        assert load_artifact(folder)() is not None
        data.unlink()
        with pytest.raises(InputError, match=f"lacks {name}, which its original reads$"):
            load_artifact(folder)()
        result = json.loads((folder / "result.json").read_text())
        result["spec"]["source"] = str(home / "net.py")
        (folder / "result.json").write_text(json.dumps(result))
        with pytest.raises(InputError, match=f"lacks {name}, which its original reads: copy it from {home / name}"):
            load_artifact(folder)()


def test_kept_baseline_needs_no_runtime(tmp_path, kernels):
    folder = artifacts.make(tmp_path, RELU, lambda g: [], kernels, abi=999)
    x = torch.randn(8, 40)
    assert torch.equal(load_artifact(folder)()(x), torch.relu(x))


def test_attach_to_an_instance(scaled):
    from kernelwright.workload import load

    module = load(str(scaled / "original.py")).build()
    attached = attach(copy.copy(module), scaled)
    x = torch.randn(8, 40)
    with torch.no_grad():
        assert ran_native(attached, x)
        module.gain.mul_(7)
        assert torch.equal(attached(x), module(x))
    assert attached.gain is module.gain
