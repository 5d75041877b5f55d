# SPDX-License-Identifier: Apache-2.0
"""Every op of the worker's protocol through a real socket, in this process."""

import json
import os
import socket
import threading

import artifacts
import pytest
import torch

from kernelwright import channel, draws, worker

LINEAR = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(16, 8)
        self.register_buffer("calls", torch.zeros(()))
    def forward(self, x, index):
        self.calls += 1
        return torch.relu(self.fc(x)), x[index]
def get_inputs():
    return [torch.randn(32, 16), torch.randint(0, 32, (5,))]
"""
RELU = """import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x)
def get_inputs():
    return [torch.rand(8, 40)]
"""


class Client:
    def __init__(self):
        ours, theirs = socket.socketpair()
        self.channel = channel.Channel(ours)
        self._thread = threading.Thread(target=worker.serve, args=(channel.Channel(theirs),))
        self._thread.start()

    def ask(self, op, fds=(), **fields):
        self.channel.send({"op": op, **fields}, fds)
        reply, received = self.channel.receive()
        return reply, [channel.map_fd(fd) for fd in received]

    def ok(self, op, **fields):
        reply, memory = self.ask(op, **fields)
        assert reply.pop("ok"), reply
        return reply, memory

    def open(self, path, out, **fields):
        return self.ok(
            "import",
            **{
                "path": str(path),
                "init": "",
                "inputs": "",
                "size": "cpu",
                "policy": "strict",
                "target": "cpu",
                "out": str(out),
                **fields,
            },
        )[0]

    def stop(self):
        self.ok("stop")
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def client():
    client = Client()
    yield client
    client.stop()


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A worker that has imported LINEAR."""
    folder = tmp_path_factory.mktemp("linear")
    (folder / "linear.py").write_text(LINEAR)
    client = Client()
    client.out = folder / "out"
    client.reply = client.open(folder / "linear.py", client.out)
    yield client
    client.stop()


def read(memory, description):
    return channel.unpack(memory, description)


def test_hello(client):
    reply, _ = client.ok("hello", threads=0)
    assert reply["versions"]["torch"] == str(torch.__version__)
    assert reply["threads"] == torch.get_num_threads()


def test_import_writes_the_graph(linear):
    assert linear.reply["name"] == "linear"
    assert os.path.isfile(linear.reply["graph"]) and os.path.isfile(linear.reply["weights"])


def test_own_draw(linear):
    reply, (given, expected) = linear.ok("draw", region="whole", kind="own", seed=2**63 + 11)
    draw = reply["draw"]
    x, index = (read(given, t) for t in draw["inputs"])
    weights = {t["name"]: read(given, t) for t in draw["weights"]}
    assert index.dtype is torch.int64 and weights["fc.weight"].shape == (8, 16)
    y, rows, calls = draw["answers"]
    assert (y["index"], rows["index"], calls["name"]) == (0, 1, "calls")
    want = torch.relu(x @ weights["fc.weight"].t() + weights["fc.bias"])
    torch.testing.assert_close(read(expected, y["eager"]), want)
    torch.testing.assert_close(read(expected, y["oracle"]).float(), want)
    assert torch.equal(read(expected, rows["eager"]), x[index])
    (state,) = draw["states"]
    assert float(read(given, state)) == 0 and float(read(expected, calls["eager"])) == 1
    for tensor in (*draw["inputs"], *draw["weights"]):
        assert tensor["offset"] % 64 == 0
    again, (same, _) = linear.ok("draw", region="whole", kind="own", seed=2**63 + 11)
    assert torch.equal(read(same, again["draw"]["inputs"][0]), x)
    assert float(read(same, again["draw"]["states"][0])) == 0


@pytest.mark.parametrize("kind", draws.KINDS)
def test_kinds_keep_the_domain(linear, kind):
    reply, memory = linear.ok("draw", region="whole", kind=kind, seed=5)
    draw = reply["draw"]
    given, expected = memory
    x, index = (read(given, t) for t in draw["inputs"])
    weights = {t["name"]: read(given, t) for t in draw["weights"]}
    assert 0 <= int(index.min()) and int(index.max()) < 32
    if kind == "negative":
        assert bool((x < 0).all())
    if kind == "zeros":
        assert not bool(x.any())
    if kind == "constant":
        assert bool((x == x[0, 0]).all()) and float(x[0, 0]) != 0
    if kind == "wide":
        assert float(x.abs().max() / x.abs().median()) > 20
    if kind == "exact":
        assert draw["exact"]
        assert all(torch.equal(t, t.round()) for t in (x, weights["fc.weight"], weights["fc.bias"]))
        answer = draw["answers"][0]
        assert torch.equal(read(expected, answer["eager"]).double(), read(expected, answer["oracle"]))
    fresh = linear.ok("draw", region="whole", kind="own", seed=5)
    changed = not torch.equal(weights["fc.weight"], read(fresh[1][0], fresh[0]["draw"]["weights"][0]))
    assert changed == (kind in ("weights", "exact"))


def test_regions_and_their_inputs(linear):
    import json

    with open(linear.reply["graph"]) as file:
        graph = json.load(file)
    relu = artifacts.nodes_named(graph, "relu")
    rest = [n["name"] for n in graph["nodes"] if n["name"] not in relu]
    regions = [artifacts.region_of(graph, relu, "r0"), artifacts.region_of(graph, rest, "r1")]
    linear.ok("regions", regions=regions)
    reply, (given, expected) = linear.ok("draw", region="r0", kind="own", seed=1)
    x = read(given, reply["draw"]["inputs"][0])
    assert float(x.min()) < 0 < float(x.max())  # what the linear layer gave
    assert torch.equal(read(expected, reply["draw"]["answers"][0]["eager"]), torch.relu(x))
    reply, _ = linear.ok("draw", region="r0", kind="weights", seed=1)
    assert "no weights" in reply["skipped"]
    for name in ("r0", "r1", "whole"):
        assert linear.ok("baseline", region=name, name="eager")[0]["available"]
        ms = linear.ok("time", region=name, name="eager", calls=3, flush_bytes=4096)[0]["ms"]
        assert len(ms) == 3 and min(ms) > 0
    assert not linear.ok("baseline", region="r0", name="warp")[0]["available"]


def test_errors_are_replies(linear):
    for request, kind, words in (
        ({"op": "draw", "region": "nowhere"}, "internal", "nowhere"),
        ({"op": "draw", "region": 3}, "internal", "string"),
        ({"op": "no such op"}, "internal", "unknown op"),
        ({"op": "regions", "regions": "all"}, "internal", "list"),
        ({"op": "time", "region": "whole", "name": "warp", "calls": 1, "flush_bytes": 0}, "input", "warp"),
        ({"op": "artifact_run"}, "internal", "artifact_open"),
        ({"op": "import", "path": "/no/such.py", "out": "/tmp"}, "input", "no such file"),
    ):
        reply, _ = linear.ask(request.pop("op"), **request)
        assert not reply["ok"] and reply["error"]["kind"] == kind and words in reply["error"]["message"], reply
        assert "\n" not in reply["error"]["message"]


def test_error_inside_forward_names_its_line(client, tmp_path):
    (tmp_path / "bad.py").write_text(RELU.replace("torch.relu(x)", "torch.relu(x) @ x"))
    reply, _ = client.ask("import", path=str(tmp_path / "bad.py"), out=str(tmp_path / "out"))
    assert reply["error"]["kind"] == "input" and "bad.py:4" in reply["error"]["context"]["at"]


def test_inputs_in_the_unit_interval(client, tmp_path):
    """relu takes negative numbers without harm, so they are tried; a logarithm does not, and keeps its domain."""
    (tmp_path / "relu.py").write_text(RELU)
    client.open(tmp_path / "relu.py", tmp_path / "out")
    reply, (given, _) = client.ok("draw", region="whole", kind="negative", seed=1)
    assert bool((read(given, reply["draw"]["inputs"][0]) <= 0).all())
    (tmp_path / "log.py").write_text(RELU.replace("torch.relu(x)", "torch.log(x + 0.5)"))
    client.open(tmp_path / "log.py", tmp_path / "out2")
    assert "domain" in client.ok("draw", region="whole", kind="negative", seed=1)[0]["skipped"]
    reply, (given, _) = client.ok("draw", region="whole", kind="wide", seed=1)
    x = read(given, reply["draw"]["inputs"][0])
    assert 0 <= float(x.min()) and float(x.max()) <= 1


@pytest.mark.parametrize(
    "make, domain",
    [
        (lambda: torch.randn(50, 8), "free"),
        (lambda: torch.rand(50, 8), "unit"),
        (lambda: torch.randn(50, 8).softmax(-1), "simplex"),
        (lambda: torch.randint(0, 9, (50,)), "fixed"),
        (lambda: torch.randint(0, 2, (50,)).float(), "fixed"),
        (lambda: torch.rand(50) > 0.5, "fixed"),
        (lambda: torch.rand(50) * 7, "positive"),
        (lambda: torch.ones(50), "free"),
    ],
)
def test_domains(make, domain):
    assert draws.domain_of([make(), make()]) == domain


def test_artifact_side_by_side(client, tmp_path):
    (tmp_path / "obj").mkdir()
    shared = artifacts.build_object(tmp_path / "obj")
    folder = artifacts.make(
        tmp_path / "artifact", RELU, lambda g: [(artifacts.nodes_named(g, "relu"), [artifacts.RELU])], shared
    )
    spec = {
        "path": str(folder / "original.py"),
        "init": "",
        "inputs": "",
        "size": "cpu",
        "policy": "strict",
        "target": "cpu",
    }
    opened, _ = client.ok("artifact_open", artifact=str(folder), **spec)
    assert opened["generated"] and opened["prepare_ms"] >= 0
    client.open(folder / "original.py", tmp_path / "out")
    client.channel.send({"op": "draw", "region": "whole", "kind": "negative", "seed": 4})
    reply, (given, expected) = client.channel.receive()
    os.close(expected)
    outputs, (memory,) = client.ask("artifact_run", [given], draw=reply["draw"])
    os.close(given)
    assert outputs["ok"], outputs
    assert not bool(read(memory, outputs["tensors"][0]).any())
    for fresh in (False, True):
        reply, _ = client.ok("artifact_time", seconds=0.05, flush_bytes=1 << 16, fresh_memory=fresh, with_compile=False)
        ms = reply["ms"]
        assert set(ms) == {"original", "dropin"} and len(ms["original"]) == len(ms["dropin"]) >= 5
        assert reply["memory_ms"] == []
    reply, _ = client.ok("artifact_time", seconds=0.05, flush_bytes=1 << 16, read_bytes=1 << 20, written_bytes=1 << 23)
    assert set(reply["ms"]) == {"original", "dropin"}
    assert len(reply["memory_ms"]) == len(reply["ms"]["dropin"]) and min(reply["memory_ms"]) > 0


def test_the_files_neighbours_are_named(client, tmp_path):
    (tmp_path / "kw_blocks").mkdir()
    (tmp_path / "kw_blocks" / "act.py").write_text("import torch\nact = torch.relu\n")
    (tmp_path / "kw_helper.py").write_text("import json\nfrom kw_blocks.act import act\n")
    (tmp_path / "kw_unused.py").write_text("")
    (tmp_path / "net.py").write_text("from kw_helper import act\n" + RELU.replace("torch.relu(x)", "act(x)"))
    assert client.open(tmp_path / "net.py", tmp_path / "out")["neighbours"] == ["kw_blocks/act.py", "kw_helper.py"]


def test_a_part_is_timed_before_it_is_drawn(client, tmp_path):
    (tmp_path / "branch.py").write_text(
        "import torch\n"
        "class Model(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = torch.nn.Linear(16, 16)\n"
        "    def forward(self, x):\n"
        "        y = self.fc(x)\n"
        "        return y * 2 if y.sum() > 0 else y\n"
        "def get_inputs():\n"
        "    return [torch.randn(8, 16)]\n"
    )
    reply = client.open(tmp_path / "branch.py", tmp_path / "out")
    with open(reply["graph"]) as file:
        graph = json.load(file)
    region = {
        "id": "r0",
        "whole": False,
        "nodes": [n["name"] for n in graph["nodes"]],
        "inputs": list(graph["inputs"]),
        "weights": [w["value"] for w in graph["weights"]],
        "outputs": [o["value"] for o in graph["outputs"]],
        "mutations": [],
    }
    client.ok("regions", regions=[region])
    assert client.ok("baseline", region="r0", name="eager")[0]["available"]
    assert client.ok("time", region="r0", name="eager", calls=1, flush_bytes=0)[0]["ms"]
    assert client.ok("draw", region="r0", kind="own", seed=3)[0]["draw"]["answers"]
