# SPDX-License-Identifier: Apache-2.0
"""Draws into memory that the coordinator owns, here host memory: the same figures as the other form gives."""

import mmap
import os

import pytest
import torch
from test_worker import Client

from kernelwright import channel, draws, export, placed_oracle, subjects, workload
from kernelwright.channel import DTYPES

SOURCE = """import torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(48, 20)
        self.register_buffer("calls", torch.zeros(()))
    def forward(self, x, index):
        self.calls += 1
        y = self.fc(x)
        return torch.where(y > 0.1, torch.softmax(y, -1), y * y), y.argmax(-1), x[index], (y > 0)
def get_inputs():
    return [torch.randn(64, 48), torch.randint(0, 64, (5,))]
"""
BYTES = 1 << 20


class Memory:
    """One arena of two segments, as the coordinator would make it."""

    def __init__(self, number):
        self.number = number
        self.fds = [os.memfd_create("test") for _ in range(2)]
        self.flat, self.used = [], 0
        for fd in self.fds:
            os.ftruncate(fd, BYTES)
            self.flat.append(torch.frombuffer(mmap.mmap(fd, BYTES), dtype=torch.uint8))

    def place(self, dtype, shape):
        offset = self.used
        self.used += -(-torch.Size(shape).numel() * dtype.itemsize // 64) * 64
        assert self.used <= BYTES
        return [self.number, 1, offset]

    def read(self, place, dtype, shape):
        begin = place[2]
        return self.flat[1][begin : begin + torch.Size(shape).numel() * dtype.itemsize].view(dtype).view(shape)


@pytest.fixture
def client(tmp_path):
    (tmp_path / "m.py").write_text(SOURCE)
    client = Client()
    client.open(tmp_path / "m.py", tmp_path / "out")
    yield client
    client.stop()


def places_of(memory, draw):
    def place(tensor):
        return memory.place(DTYPES[tensor["dtype"]], tensor["shape"])

    answers = []
    for answer in draw["answers"]:
        dtype, shape = DTYPES[answer["eager"]["dtype"]], answer["eager"]["shape"]
        side = placed_oracle.side_dtype(dtype)
        entry = {key: answer[key] for key in ("index", "name") if key in answer}
        entry |= {"eager": memory.place(dtype, shape)}
        entry |= {key: memory.place(side, shape) for key in ("delta", "scale")}
        answers.append(entry)
    return {
        "inputs": [place(t) for t in draw["inputs"]],
        "weights": {t["name"]: place(t) for t in draw["weights"]},
        "states": {t["name"]: place(t) for t in draw["states"]},
        "answers": answers,
    }


def map_memory(client, memory):
    reply, _ = client.ask("map", memory.fds, id=memory.number, device=0, segments=[BYTES, BYTES])
    assert reply["ok"], reply


@pytest.mark.parametrize("kind", ["own", "wide", "weights"])
def test_places_hold_what_the_other_form_gives(client, monkeypatch, kind):
    monkeypatch.setattr(placed_oracle, "PIECE", 100)  # many pieces, with borders everywhere
    monkeypatch.setattr(placed_oracle.pieces, "__defaults__", (100,))
    reply, (given, expected) = client.ok("draw", region="whole", kind=kind, seed=5)
    draw = reply["draw"]
    memory = Memory(7)
    map_memory(client, memory)
    places = places_of(memory, draw)
    reply, received = client.ok("draw", region="whole", kind=kind, seed=5, places=places)
    placed = reply["draw"]
    assert not received and "inputs" not in placed
    for key in ("kind", "seed", "exact", "ill_conditioned"):
        assert placed[key] == draw[key]
    if kind != "wide":  # there, results below fp32's range leave the stored oracle
        assert placed["median_relative_noise"] == pytest.approx(draw["median_relative_noise"], rel=1e-3)
    for tensor, place in zip(draw["inputs"], places["inputs"], strict=True):
        found = memory.read(place, DTYPES[tensor["dtype"]], tensor["shape"])
        assert torch.equal(found, channel.unpack(given, tensor))
    for tensor in draw["weights"]:
        found = memory.read(places["weights"][tensor["name"]], DTYPES[tensor["dtype"]], tensor["shape"])
        assert torch.equal(found, channel.unpack(given, tensor))
    for answer, flags, place in zip(draw["answers"], placed["answers"], places["answers"], strict=True):
        assert all(flags[key] == answer[key] for key in flags)
        eager, oracle, scale, mask = (channel.unpack(expected, answer[k]) for k in ("eager", "oracle", "scale", "mask"))
        side = placed_oracle.side_dtype(eager.dtype)
        found = memory.read(place["eager"], eager.dtype, eager.shape)
        assert torch.equal(found, eager)
        rebuilt = found.double() + memory.read(place["delta"], side, eager.shape).double()
        judged = mask == 0
        assert torch.allclose(rebuilt, oracle, rtol=1e-12, atol=1e-13)
        kept = memory.read(place["scale"], side, eager.shape).double()
        assert torch.equal(torch.isinf(kept), ~judged)
        assert torch.allclose(kept[judged], scale[judged], rtol=1e-4, atol=1e-37)


EXACT = """import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x).sum(-1)
def get_inputs():
    return [torch.randn(64, 48)]
"""


def test_exact_draws_and_kinds_that_make_no_sense(tmp_path, client):
    (tmp_path / "e.py").write_text(EXACT)
    client.open(tmp_path / "e.py", tmp_path / "exact")
    memory = Memory(7)
    map_memory(client, memory)
    answer = {"index": 0, **{k: memory.place(torch.float32, (64,)) for k in ("eager", "delta", "scale")}}
    places = {"inputs": [memory.place(torch.float32, (64, 48))], "weights": None, "states": {}, "answers": [answer]}
    reply, _ = client.ok("draw", region="whole", kind="exact", seed=5, places=places)
    assert reply["draw"]["exact"]
    x = memory.read(places["inputs"][0], torch.float32, (64, 48))
    assert torch.equal(x, x.round()) and bool((x < 0).any())
    assert torch.equal(memory.read(answer["eager"], torch.float32, (64,)), torch.relu(x).sum(-1))
    assert not memory.read(answer["delta"], torch.float32, (64,)).any()
    assert "skipped" in client.ok("draw", region="whole", kind="weights", seed=5, places=places)[0]


def test_timing_contents_leave_with_their_memory(client):
    reply, _ = client.ok("draw", region="whole", kind="own", seed=1)
    memory = Memory(3)
    map_memory(client, memory)
    client.ok("draw", region="whole", kind="own", seed=2, places=places_of(memory, reply["draw"]))
    assert client.ok("time", region="whole", name="eager", calls=2)[0]["ms"]
    client.ok("unmap", ids=[3])
    assert client.ok("time", region="whole", name="eager", calls=2)[0]["ms"]
    assert not client.ask("unmap", ids=[3])[0]["ok"]


def test_a_place_outside_of_its_memory_is_refused(client):
    reply, _ = client.ok("draw", region="whole", kind="own", seed=1)
    memory = Memory(4)
    map_memory(client, memory)
    places = places_of(memory, reply["draw"])
    for wrong in ([4, 1, BYTES - 64], [4, 2, 0], [5, 0, 0], [4, 1, 32]):
        reply, _ = client.ask("draw", region="whole", kind="own", seed=1, places={**places, "inputs": [wrong] * 2})
        assert not reply["ok"] and "memory" in reply["error"]["message"]


def test_smoothing_and_masks_do_not_see_the_borders_of_pieces(monkeypatch):
    torch.manual_seed(0)
    count = 1000
    oracle = torch.randn(count, dtype=torch.float64)
    outputs = [oracle + (1e-6 if number < 4 else 16e-6) * torch.randn(count).sign() for number in range(6)]
    outputs[1][17] += 1.0  # a branch that flipped
    results = []
    for piece in (64, count):
        monkeypatch.setattr(placed_oracle.pieces, "__defaults__", (piece,))
        monkeypatch.setattr(placed_oracle, "PIECE", 4 * piece)
        eager = oracle.float()
        answer = placed_oracle.PlacedAnswer(eager, torch.empty(count), torch.empty(count))
        answer.take_oracle(oracle, True)
        for number, output in enumerate(outputs):
            answer.add(output, 1.0 if number < 4 else 16.0)
        answer.finish(2.0**-24, True)
        results.append(answer.scale.clone())
    assert torch.equal(*results)
    assert torch.isinf(results[0]).nonzero().tolist() == [[17]]


@pytest.mark.parametrize("kind", ["own", "wide", "exact"])
def test_a_draw_judged_on_the_device_is_handed_over_in_host_memory(tmp_path, monkeypatch, kind):
    """As on a GPU, whose answers are judged piece by piece where they lie; here the device is the CPU."""
    (tmp_path / "m.py").write_text(SOURCE if kind != "exact" else EXACT)
    loaded = workload.load(str(tmp_path / "m.py"))
    exported = export.export(loaded)
    subject = subjects.make_subject(subjects.whole_region(exported.graph), exported, loaded)
    made = []
    for judge in (draws._Hosted, draws._Kept):
        monkeypatch.setattr(draws, "_Hosted", judge)
        draw, (given, expected) = draws.Drawer(subject).draw(kind, 5)
        made.append((draw, channel.map_fd(given), channel.map_fd(expected)))
    (draw, given, expected), (kept, kept_given, kept_expected) = made
    assert draw.keys() == kept.keys() and len(draw["answers"]) == len(kept["answers"])
    for key in ("inputs", "weights", "states"):
        for a, b in zip(draw[key], kept[key], strict=True):
            assert torch.equal(channel.unpack(given, a), channel.unpack(kept_given, b))
    for a, b in zip(draw["answers"], kept["answers"], strict=True):
        assert all(a.get(key) == b.get(key) for key in ("index", "name", "exact_bits", "index_output"))
        for key in ("eager", "mask"):
            assert torch.equal(channel.unpack(expected, a[key]), channel.unpack(kept_expected, b[key]))
        judged = channel.unpack(expected, a["mask"]) == 0
        for key, rtol in (("oracle", 1e-9), ("scale", 1e-4)):
            want, got = channel.unpack(expected, a[key])[judged], channel.unpack(kept_expected, b[key])[judged]
            assert torch.allclose(got, want, rtol=rtol, atol=1e-37)
