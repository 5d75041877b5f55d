# SPDX-License-Identifier: Apache-2.0
"""Modules with something odd about them: state, sharing, odd results, randomness, control flow on data."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from graph_schema import check_graph

from kernelwright.export import export, summary, write
from kernelwright.exported import capture_inputs
from kernelwright.workload import Workload

X = torch.randn(4, 6)


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def exported_of(module, *args, **kwargs):
    if not isinstance(module, nn.Module):
        module = Call(module)
    workload = Workload("case", "file", class_name=type(module).__name__)
    workload.module = module
    workload._stored_inputs = lambda seed: (args, kwargs)
    exported = export(workload)
    check_graph(exported.graph)
    if exported.whole:
        check_results(exported, workload, args, kwargs)
    return exported


def check_results(exported, workload, args, kwargs):
    """Results and mutated buffers of the graph against the module's, from the same random state."""
    graph, module = exported.graph, workload.build()
    region = {
        "nodes": [n["name"] for n in graph["nodes"]],
        "inputs": graph["inputs"],
        "weights": [w["value"] for w in graph["weights"]],
        "outputs": [o["value"] for o in graph["outputs"] if "value" in o],
        "mutations": graph["mutations"],
    }
    weights = [exported.weight_tensors()[name].clone() for name in region["weights"]]
    inputs = [t.clone() for t in exported.flatten_inputs(args, kwargs)]
    with torch.no_grad():
        torch.manual_seed(1)
        results = exported.region_module(region)(*inputs, *weights)
        torch.manual_seed(1)
        expected = torch.utils._pytree.tree_leaves(module(*args, **kwargs))
    expected = [t for t in expected if isinstance(t, torch.Tensor)]
    expected += [module.get_buffer(m["name"]) for m in graph["mutations"]]
    assert len(results) == len(expected)
    for got, want in zip(results, expected, strict=True):
        torch.testing.assert_close(got, want, equal_nan=True)


def ops(exported):
    return [node["op"] for node in exported.graph["nodes"]]


def test_training_flag_decides_what_batch_norm_is():
    norm = nn.BatchNorm1d(6)
    training = exported_of(norm, X)
    assert training.graph["training"] and "aten._native_batch_norm_legit_functional.default" in ops(training)
    assert {m["name"] for m in training.graph["mutations"]} == {"running_mean", "running_var", "num_batches_tracked"}
    fixed = exported_of(nn.BatchNorm1d(6).eval(), X)
    assert not fixed.graph["training"] and ops(fixed) == ["aten.batch_norm.default"]
    assert fixed.graph["mutations"] == []
    assert exported_of(nn.BatchNorm1d(6, track_running_stats=False), X).graph["mutations"] == []
    assert torch.equal(norm.running_mean, torch.zeros(6)), "export must not run the user's module in place"


def test_instance_norm_with_running_statistics():
    exported = exported_of(nn.InstanceNorm1d(4, track_running_stats=True), torch.randn(6, 4, 3))
    assert {m["name"] for m in exported.graph["mutations"]} >= {"running_mean", "running_var"}
    assert ops(exported_of(nn.InstanceNorm1d(4), torch.randn(6, 4, 3))) == ["aten.instance_norm.default"]


def test_a_buffer_that_forward_counts_in():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    exported = exported_of(Counter(), X)
    assert [m["name"] for m in exported.graph["mutations"]] == ["calls"]


def test_tied_weights_are_one_value(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Linear(6, 6, bias=False)
            self.decode = nn.Linear(6, 6)
            self.decode.weight = self.encode.weight

        def forward(self, x):
            return self.decode(self.encode(x))

    exported = exported_of(Tied(), X)
    assert [w["name"] for w in exported.graph["weights"]] == ["encode.weight", "decode.bias"]
    read = [node["args"]["weight"] for node in exported.graph["nodes"]]
    assert read[0] == read[1]
    write(exported, tmp_path)


def test_constants_and_buffers_that_no_state_dict_holds():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.ones(6), persistent=False)
            self.scale = torch.full((6,), 2.0)

        def forward(self, x):
            return x * self.mask * self.scale + torch.tensor([1.0, 2, 3, 4, 5, 6])

    exported = exported_of(Plain(), X)
    assert sorted((w["kind"], w["name"]) for w in exported.graph["weights"]) == [
        ("buffer", "mask"),
        ("constant", "constant.0"),
        ("constant", "constant.1"),
    ]


def test_unused_weights_are_left_out():
    class Unused(nn.Linear):
        def forward(self, x):
            return x + self.bias

    assert [w["name"] for w in exported_of(Unused(6, 6), X).graph["weights"]] == ["bias"]


def test_integer_constants_are_folded_and_real_ones_stay():
    exported = exported_of(lambda x: x.masked_fill(torch.ones(4, 6).triu(1) > 0, float("-inf")), X)
    assert ops(exported) == ["aten.full.default", "aten.where.self"]
    assert exported.graph["nodes"][0]["args"]["fill_value"] == {"float": "-inf"}
    assert [w["kind"] for w in exported.graph["weights"]] == ["constant"]
    assert "aten.arange.start_step" in ops(exported_of(lambda x: x + torch.arange(6.0), X))


def test_kwargs_and_constants_among_the_arguments():
    def forward(x, *, second, flag=True, scale=1.0):
        return {"b": x * second, "a": (x, None, 3)} if flag else x * scale

    exported = exported_of(forward, X, second=X + 1, flag=True)
    assert len(exported.graph["inputs"]) == 2 and exported.graph["inputs"][1] == "second"
    assert exported.baked == {1: True}
    assert len(exported.flatten_inputs((X,), {"flag": True, "second": X})) == 2
    assert exported.flatten_inputs((X,), {"flag": False, "second": X}) is None
    assert exported.flatten_inputs((X,), {"second": X}) is None
    assert exported.flatten_inputs((X,), {"flag": 1, "second": X}) is None
    assert {"const": None} in exported.graph["outputs"] and {"const": 3} in exported.graph["outputs"]
    assert exported.graph["inputs"] == exported_of(forward, X, flag=True, second=X + 1).graph["inputs"]


def test_nested_inputs():
    exported = exported_of(lambda items: items[0] + items[1]["q"], [X, {"q": X + 1}])
    assert len(exported.graph["inputs"]) == 2


def test_one_tensor_for_two_arguments_stays_two_inputs():
    exported = exported_of(lambda a, b: a - 2 * b, X, X)
    region = exported.region_module(
        {
            "nodes": [n["name"] for n in exported.graph["nodes"]],
            "inputs": exported.graph["inputs"],
            "weights": [],
            "outputs": [o["value"] for o in exported.graph["outputs"]],
        }
    )
    assert torch.equal(region(X, X + 1)[0], X - 2 * (X + 1))


def test_aliased_results():
    def forward(x):
        y = x * 2
        return x, x.t(), x.clone(), x.clone().t(), y, y, y.view(-1), y + 1

    exported = exported_of(forward, X)
    assert exported.output_aliases == [
        {"input": 0, "same": True},
        {"input": 0, "same": False},
        None,
        None,
        None,
        {"output": 4, "same": True},
        {"output": 4, "same": False},
        None,
    ]
    values = [o["value"] for o in exported.graph["outputs"]]
    assert values[0] == exported.graph["inputs"][0] and values[4] == values[5]
    assert len({values[0], values[2]}) == 2


def test_a_copy_is_folded_unless_it_would_share_memory():
    assert ops(exported_of(lambda x: (x * 2).t().clone(), X)) == ["aten.mul.Tensor", "aten.permute.default"]
    assert "aten.clone.default" in ops(exported_of(lambda x: x.clone(), X))
    both = exported_of(lambda x: (lambda y: (y, y.clone()))(x * 2), X)
    assert both.output_aliases == [None, None] and "aten.clone.default" in ops(both)


def test_a_weight_handed_back():
    class Give(nn.Linear):
        def forward(self, x):
            return self.weight, self.weight.t()

    assert exported_of(Give(6, 6), X).output_aliases == [
        {"weight": "weight", "same": True},
        {"weight": "weight", "same": False},
    ]


def test_odd_input_strides():
    exported = exported_of(lambda x: x.t().reshape(-1) + 1, X.t())
    assert exported.graph["values"][exported.graph["inputs"][0]]["strides"] == [1, 6]


def test_few_forms():
    def forward(x):
        return (
            x.float().half(),
            torch.zeros_like(x) + x.detach().contiguous(),
            x.max(1)[0],
            x.max(1).values,
            x.view(4, 6) * 1,
            x.expand(4, 6) - 1,
        )

    found = ops(exported_of(forward, X))
    expected = "_to_copy.default full.default add.Tensor amax.default amax.default mul.Tensor sub.Tensor"
    assert sorted(found) == sorted(f"aten.{name}" for name in expected.split())


@pytest.mark.parametrize(
    "module, shape, op",
    [
        (nn.Linear(6, 3), (4, 6), "linear.default"),
        (nn.LayerNorm(6), (4, 6), "layer_norm.default"),
        (nn.GroupNorm(2, 4), (2, 4, 3), "group_norm.default"),
        (nn.RMSNorm(6), (4, 6), "rms_norm.default"),
        (nn.Conv1d(4, 2, 3, padding="same"), (2, 4, 5), "convolution.default"),
        (nn.ConvTranspose2d(3, 2, 3), (1, 3, 4, 4), "convolution.default"),
        (nn.Softmax(1), (4, 6), "softmax.int"),
        (nn.GELU(), (4, 6), "gelu.default"),
        (nn.SiLU(), (4, 6), "silu.default"),
        (nn.MaxPool2d(2), (1, 2, 4, 4), "max_pool2d.default"),
        (nn.AvgPool1d(2), (1, 2, 4), "avg_pool1d.default"),
        (nn.AdaptiveAvgPool2d(1), (1, 2, 4, 4), "adaptive_avg_pool2d.default"),
        (nn.Mish(), (4, 6), "mish.default"),
    ],
)
def test_kept_whole(module, shape, op):
    assert ops(exported_of(module, torch.randn(shape))) == [f"aten.{op}"]


def test_recurrent_layers_attention_and_einsum_stay_whole():
    lstm = exported_of(nn.LSTM(4, 5, 2), torch.randn(3, 2, 4))
    assert "aten.lstm.input" in ops(lstm) and lstm.graph["eager"] == []
    assert exported_of(nn.LSTM(4, 5, 2, dropout=0.5), torch.randn(3, 2, 4)).graph["eager"]
    assert "aten.gru.input" in ops(exported_of(nn.GRU(4, 5), torch.randn(3, 2, 4)))
    assert ops(exported_of(lambda a, b: torch.einsum("ij,kj->ik", a, b), X, X + 1)) == ["aten.einsum.default"]
    q = torch.randn(1, 2, 4, 6)
    assert ops(exported_of(lambda a: F.scaled_dot_product_attention(a, a, a), q)) == [
        "aten.scaled_dot_product_attention.default"
    ]


def test_losses_are_core_aten():
    loss = exported_of(nn.CrossEntropyLoss(), torch.randn(3, 4), torch.tensor([1, 2, 0]))
    assert ops(loss)[0] == "aten.log_softmax.int" and "aten.gather.default" in ops(loss)
    squared = ["aten.sub.Tensor", "aten.pow.Tensor_Scalar", "aten.mean.default"]
    assert ops(exported_of(nn.MSELoss(), X, X + 1)) == squared


def test_dropout_in_training_is_named():
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3), nn.ReLU())
    exported = exported_of(model, X)
    assert exported.whole and "aten.native_dropout.default" in ops(exported)
    assert exported.graph["eager"] == [{"what": "aten.native_dropout.default", "reason": "random (1)"}]
    assert "random: aten.native_dropout.default" in summary(exported)
    assert exported_of(model.eval(), X).graph["eager"] == []
    assert ops(exported_of(model, X)) == ["aten.linear.default", "aten.relu.default"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x + torch.rand_like(x),
        lambda x: x + torch.randn(4, 6),
        lambda x: torch.bernoulli(x.sigmoid()),
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
    ],
)
def test_random_ops_are_named(forward):
    notes = exported_of(forward, X).graph["eager"]
    assert len(notes) == 1 and notes[0]["reason"].startswith("random")


def test_attention_without_dropout_is_not_random():
    q = torch.randn(1, 2, 4, 6)
    assert exported_of(lambda a: F.scaled_dot_product_attention(a, a, a), q).graph["eager"] == []


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
        self.blocks = nn.ModuleList([nn.Linear(6, 6) for _ in range(2)])
        self.blocks[1].weight = self.blocks[0].weight
        self.last = nn.Linear(6, 3)
        self.idle = nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x) if x.sum() > 0 else self.last(-x)


def test_control_flow_on_data_gives_parts(tmp_path):
    torch.manual_seed(3)
    module = Branch()
    exported = exported_of(module, X)
    assert not exported.whole
    assert [path for path, _ in exported.parts] == ["first", "blocks.0", "blocks.1", "last"]
    assert exported.reason.startswith("control flow depends on data (test_export_cases.py:")
    assert exported.graph["eager"][0] == {"what": "Branch", "reason": exported.reason}
    assert "in parts (first, blocks.0, blocks.1, last)" in summary(exported)
    # A weight of two parts is one value.
    weights = [w["name"] for w in exported.graph["weights"]]
    assert len(weights) == 7 and weights.count("blocks.0.weight") == 1
    assert exported.graph["nodes"][0]["module"] == "first.0" and exported.graph["nodes"][0]["part"] == 0
    write(exported, tmp_path)


def test_regions_of_parts_compute_what_the_submodules_compute():
    module = Branch()
    exported = exported_of(module, X)
    values = exported.values(module, (X,), {})
    assert set(values) == set(exported.graph["values"])
    seen = capture_inputs(module, ["blocks.1"], (X,), {})["blocks.1"][0][0]
    index = [path for path, _ in exported.parts].index("blocks.1")
    node = next(n for n in exported.graph["nodes"] if n["part"] == index)
    arguments = [node["args"][name]["value"] for name in ("input", "weight", "bias")]
    region = exported.region_module(
        {
            "nodes": [node["name"]],
            "inputs": arguments[:1],
            "weights": arguments[1:],
            "outputs": node["outputs"],
            "mutations": [],
        }
    )
    with torch.no_grad():
        expected = module.blocks[1](seen)
        torch.testing.assert_close(region(*(values[name] for name in arguments))[0], expected)
    torch.testing.assert_close(values[node["outputs"][0]], expected)


@pytest.mark.parametrize(
    "forward, reason",
    [
        (lambda x: x.nonzero(), "aten.nonzero.default: its result's shape depends on data"),
        (lambda x: x[x > 0], "aten.index.Tensor: its result's shape depends on data"),
        (lambda x: x * x.sum().item(), "a Python number that depends on data"),
        (lambda x: x.add_(1), "forward changes its input"),
        (lambda x: torch.fft.fft(x).abs(), "complex64 tensors are outside the graph format"),
        (lambda x: torch.from_numpy(x.numpy() + 1), "torch.export: "),
        (lambda x: x.view(1, 1, 1, 1, 1, 1, 1, 4, 6) + 1, "more than 8 dimensions"),
        (lambda x: x.to_sparse().to_dense(), ""),
    ],
)
def test_what_cannot_be_a_graph_is_named_and_never_fails(forward, reason):
    exported = exported_of(forward, X.clone())
    if reason:
        assert not exported.whole and exported.parts == [] and exported.graph["parts"] == []
        assert reason in exported.reason and "\n" not in exported.reason


def test_state_in_a_plain_attribute_is_never_lost():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.read = nn.Linear(10, 6), nn.Linear(6, 2)
            self.hidden = torch.zeros(4, 6)
            self.cache = None

        def forward(self, x):
            if self.cache is None:
                self.cache = torch.ones(2)
            self.hidden = torch.tanh(self.mix(torch.cat((x, self.hidden), 1)))
            return self.read(self.hidden) * self.cache

    module = nn.Sequential(nn.Linear(6, 4), Cell(), nn.ReLU())
    exported = exported_of(module, X)
    assert exported.reason == "forward changes 1.hidden, which is no buffer"
    assert [path for path, _ in exported.parts] == ["0", "1.mix", "1.read", "2"]
    assert torch.equal(module[1].hidden, torch.zeros(4, 6))


def test_a_cache_is_no_state():
    class Cached(nn.Module):
        mask = None
        seen = None

        def forward(self, x):
            if self.mask is None:
                self.mask = torch.ones(6)
            self.seen = tuple(x.shape)
            return x * self.mask

    module = Cached()
    assert exported_of(module, X).whole
    assert module.mask is None


@pytest.mark.filterwarnings("ignore")
def test_weights_that_a_hook_computes_are_no_state():
    exported = exported_of(nn.utils.spectral_norm(nn.Linear(6, 6)), X)
    assert exported.whole and {m["name"] for m in exported.graph["mutations"]} == {"weight_u", "weight_v"}


def test_submodules_that_only_draw_numbers_or_do_nothing_are_no_parts():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.same, self.act = nn.Dropout(0.5), nn.Identity(), nn.ReLU(inplace=True)
            self.linear = nn.Linear(6, 6)

        def forward(self, x):
            x = self.act(self.linear(self.same(self.drop(x))))
            return x[x > 0]

    exported = exported_of(Odd(), X)
    assert [path for path, _ in exported.parts] == ["linear"]
    assert {"what": "act", "reason": "forward changes its input input in place"} in exported.graph["eager"]
