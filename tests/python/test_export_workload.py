# SPDX-License-Identifier: Apache-2.0
"""Every form in which a workload may come, and every error line."""

import json
import textwrap
from pathlib import Path

import pytest
import torch

from kernelwright.errors import EnvironmentError_, InputError
from kernelwright.workload import load, require_torch

DATA = Path(__file__).parent / "data"
FORMS = DATA / "forms.py"

FILE = """
import torch
import torch.nn as nn
N = 4
SIZES = {"cpu": {"N": 6}, "gpu": {"N": 8}}
class Model(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.linear = nn.Linear(n, n)
    def forward(self, x):
        return self.linear(x)
def get_inputs():
    return [torch.randn(2, N)]
def get_init_inputs():
    return [N]
"""


@pytest.fixture
def user_file(tmp_path):
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_kernelbench_form(user_file):
    path = user_file(FILE)
    workload = load(path)
    assert (workload.name, workload.kind, workload.class_name) == ("mine", "file", "Model")
    assert workload.source_file == path
    assert workload.init_args == ((6,), {})
    (x,), kwargs = workload.make_inputs(3)
    assert x.shape == (2, 6) and kwargs == {}


def test_sizes_reach_inputs_and_constructor(user_file):
    workload = load(user_file(FILE), size="gpu")
    assert workload.init_args == ((8,), {})
    assert workload.make_inputs(0)[0][0].shape == (2, 8)


def test_a_size_with_a_seed_is_drawn(user_file):
    path = user_file(FILE + 'M = 1\nDRAWS = {"cpu": {"N": (16, 256, 16), "M": (1, 1000)}}\n')
    drawn = [load(path, size=f"cpu:{seed}").drawn for seed in range(40)]
    assert all(16 <= d["N"] <= 256 and d["N"] % 16 == 0 and 1 <= d["M"] <= 1000 for d in drawn)
    # Evenly over octaves: as many below the geometric mean of the bounds as above it.
    assert len({d["N"] for d in drawn}) > 5 and 8 < sum(d["M"] < 32 for d in drawn) < 32
    again = load(path, size="cpu:7")
    assert again.drawn == drawn[7] and again.init_args == ((drawn[7]["N"],), {})
    assert again.make_inputs(0)[0][0].shape == (2, drawn[7]["N"])
    assert load(path).drawn == {}


@pytest.mark.parametrize(
    "draws, message",
    [
        ("", "no DRAWS for 'cpu'"),
        ('DRAWS = {"gpu": {"N": (1, 2)}}', "no DRAWS for 'cpu'"),
        ("DRAWS = 3", "not a dict of dicts"),
        ('DRAWS = {"cpu": {"Q": (1, 2)}}', "sets Q, which the file does not define"),
        ('DRAWS = {"cpu": {"N": (4, 2)}}', "N is not .low, high."),
        ('DRAWS = {"cpu": {"N": 4}}', "N is not .low, high."),
        ('DRAWS = {"cpu": {"N": (1, 64, 16)}}', "N is not .low, high."),
        ('DRAWS = {"cpu": {"N": ("a", "b")}}', "N is not .low, high."),
    ],
)
def test_bad_draws_get_one_line(user_file, draws, message):
    with pytest.raises(InputError, match=message):
        load(user_file(FILE + draws + "\n"), size="cpu:1")


def test_seeds_decide_inputs_and_nothing_else(user_file):
    workload = load(user_file(FILE))
    first, again, other = (workload.make_inputs(seed)[0][0] for seed in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    workload.make_inputs(9)
    load(user_file(FILE))
    assert torch.equal(torch.rand(3), expected)


def test_two_loads_and_builds_have_equal_weights(user_file):
    path = user_file(FILE)
    first, second = load(path), load(path)
    built = first.build()
    assert built is not first.module
    for a, b, c in zip(first.module.parameters(), second.module.parameters(), built.parameters(), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c) and a.data_ptr() != c.data_ptr()


def test_a_module_that_cannot_be_copied_is_built_anew(user_file):
    workload = load(user_file(FILE.replace("nn.Linear(n, n)", "nn.utils.weight_norm(nn.Linear(n, n))")))
    (x,), _ = workload.make_inputs(1)
    with torch.no_grad():
        assert torch.equal(workload.build()(x), workload.build()(x))
    assert torch.equal(workload.build().linear.weight_v, workload.module.linear.weight_v)


def test_class_of_a_file_with_init_and_inputs():
    workload = load(f"{FORMS}:Scale", init='{"args": [8], "kwargs": {"factor": 2.0}}', inputs="f32[3,8],shift=f32[8]")
    assert workload.name == "forms_Scale"
    assert workload.module.factor == 2.0
    args, kwargs = workload.make_inputs(0)
    assert [a.shape for a in args] == [(3, 8)] and kwargs["shift"].shape == (8,)


def test_class_of_a_python_module():
    workload = load("torch.nn:Linear", init="[3, 4]", inputs="f32[2,3]")
    assert (workload.kind, workload.name) == ("module", "nn_Linear")
    assert workload.build()(*workload.make_inputs(0)[0]).shape == (2, 4)


def test_pt2(tmp_path):
    path = tmp_path / "net.pt2"
    module = torch.nn.Linear(3, 4)
    x = torch.randn(2, 3)
    torch.export.save(torch.export.export(module, (x,)), path)
    workload = load(path)
    assert (workload.kind, workload.name) == ("pt2", "net")
    assert torch.equal(workload.make_inputs(0)[0][0], x)
    assert not torch.equal(workload.make_inputs(1)[0][0], x)
    assert torch.allclose(workload.build()(x), module(x))


def test_inputs_from_a_file(tmp_path):
    path = tmp_path / "in.pt"
    mask = torch.zeros(4, 8).masked_fill(torch.ones(4, 8).triu(1) > 0, float("-inf"))
    torch.save({"x": torch.randn(4, 8), "shift": mask}, path)
    workload = load(f"{FORMS}:Scale", init="[8]", inputs=str(path))
    kept, moved = workload.make_inputs(0)[1], workload.make_inputs(1)[1]
    assert torch.equal(moved["shift"], mask)
    assert not torch.equal(kept["x"], moved["x"])
    assert torch.equal(kept["x"].flatten().sort()[0], moved["x"].flatten().sort()[0])


def test_other_shapes_of_init_inputs(user_file):
    for returned in ("[[4], {}]", '{"n": 4}', "(4,)"):
        assert load(user_file(FILE.replace("return [N]", f"return {returned}").replace('"N": 6', '"N": 4')))


def test_a_single_module_class_needs_no_name(user_file):
    assert load(user_file(FILE.replace("class Model", "class Net"))).class_name == "Net"


def test_lazy_modules_get_their_shapes(user_file):
    workload = load(user_file(FILE.replace("nn.Linear(n, n)", "nn.LazyLinear(n)")))
    assert workload.module.linear.weight.shape == (6, 6)


def refused(path, kind=InputError, **options):
    with pytest.raises(kind) as caught:
        load(path, **options)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 1000
    assert json.dumps(caught.value.as_dict())
    return text


def test_no_such_file(tmp_path):
    assert refused(tmp_path / "nope.py").startswith("no such file: ")
    assert refused(tmp_path / "nope.pt2").startswith("no such file: ")
    assert refused("nope").startswith("no such file: nope")
    assert "not a file" in refused(_folder(tmp_path))


def _folder(tmp_path):
    (tmp_path / "folder.py").mkdir()
    return tmp_path / "folder.py"


def test_python_errors_name_their_place(user_file):
    assert "ZeroDivisionError: division by zero (at: " in refused(user_file("import torch\nx = 1 / 0\n"))
    assert "mine.py:2" in refused(user_file("import torch\nx = 1 / 0\n"))
    assert "SyntaxError" in refused(user_file("def f(:\n"))
    assert "mine.py:1" in refused(user_file("def f(:\n"))
    assert "SystemExit" in refused(user_file("import sys\nsys.exit(3)\n"))
    assert "no_such_package" in refused(user_file("import no_such_package\n"))


def test_errors_inside_forward_constructor_and_get_inputs(user_file):
    text = refused(user_file(FILE.replace("return self.linear(x)", "raise KeyError('lost')")))
    assert "forward failed on inputs float32[2, 6]: KeyError: 'lost'" in text and "mine.py:11" in text
    assert "cannot construct Model" in refused(user_file(FILE.replace("return [N]", "return [N, 1, 2]")))
    assert "get_inputs failed: NameError" in refused(user_file(FILE.replace("randn(2, N)", "randn(2, M)")))
    assert "get_init_inputs failed: NameError" in refused(user_file(FILE.replace("return [N]", "return [M]")))
    assert "get_inputs gives a Tensor" in refused(user_file(FILE.replace("[torch.randn(2, N)]", "torch.ones(3)")))


def test_class_missing(user_file):
    assert "has no class Nope" in refused(f"{user_file(FILE)}:Nope")
    assert "has no class Model; name one of Scale, Other" in refused(FORMS)
    assert "is not an nn.Module class" in refused(f"{FORMS}:NOT_A_MODULE")
    assert "has no class Nope" in refused("torch.nn:Nope")
    assert "no Python module named no_such_package" in refused("no_such_package:Model")


def test_inputs_that_do_not_match_forward(user_file):
    path = user_file(FILE)
    assert "inputs do not match Model.forward: too many positional" in refused(path, inputs="f32[2,6],f32[3]")
    assert "forward failed on inputs float32[2, 7]" in refused(path, inputs="f32[2,7]")


def test_get_inputs_missing(user_file):
    assert refused(user_file(FILE.replace("def get_inputs", "def inputs"))) == (
        "mine.py has no get_inputs and no --inputs were given"
    )


def test_nan_weights(user_file):
    broken = FILE.replace("def forward", "    nn.init.constant_(self.linear.bias, float('nan'))\n    def forward")
    assert refused(user_file(broken)) == "weight linear.bias holds NaN"


def test_tensors_without_elements(user_file):
    assert "input 0 has no elements" in refused(user_file(FILE.replace("randn(2, N)", "randn(0, N)")))
    assert "output 0 has no elements" in refused(user_file(FILE.replace("self.linear(x)", "self.linear(x)[:0]")))
    assert "has no elements" in refused(user_file(FILE), inputs="f32[0,6]")


def test_sizes_that_name_nothing(user_file):
    assert "sets M, which the file does not define" in refused(user_file(FILE.replace('{"N": 6}', '{"M": 6}')))
    assert "is not a dict of dicts" in refused(user_file(FILE.replace('{"cpu": {"N": 6}, "gpu": {"N": 8}}', "3")))


def test_init_that_is_not_what_it_should_be():
    target = f"{FORMS}:Scale"
    assert "--init is not JSON" in refused(target, init="[8", inputs="f32[3,8]")
    assert "neither a list nor" in refused(target, init='{"features": 8}', inputs="f32[3,8]")
    assert "unknown policy" in refused(target, init="[8]", inputs="f32[3,8]", policy="loose")


def test_input_files_that_hold_something_else(tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no tensors here")
    target = f"{FORMS}:Scale"
    assert "cannot read bad.pt" in refused(target, init="[8]", inputs=str(tmp_path / "bad.pt"))
    assert "no such file" in refused(target, init="[8]", inputs=str(tmp_path / "none.pt"))
    (tmp_path / "bad.pt2").write_bytes(b"no program")
    assert "cannot read bad.pt2 as an exported program" in refused(tmp_path / "bad.pt2")


def test_an_old_pytorch_is_refused_in_one_line():
    for version in ("2.10.1", "1.13.0+cpu", "2.9.0a0+git1"):
        with pytest.raises(EnvironmentError_, match=f"PyTorch {version.split('+')[0]}.* is too old: 2.11"):
            require_torch(version)
    for version in ("2.11.0", "2.13.0+cpu", "3.0.0.dev2030"):
        require_torch(version)
