# SPDX-License-Identifier: Apache-2.0
"""The command line from a file to an artifact and back, through every process."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from command_line import CONV, RELU, binary, error_line, load, run

pytestmark = pytest.mark.timed

# Sorting is in no table: the module falls into a region before it and one after.
SPLIT = """
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        y = torch.tanh(x) * 2 + 1
        y = torch.special.i0(y)
        return torch.sigmoid(y) * y

def get_inputs():
    return [torch.randn(64, 512)]

def get_init_inputs():
    return []
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def relu(home):
    (home / "relu.py").write_text(RELU)
    done = run(home, "optimize", "relu.py", "--budget", "3s", "--out", "out", "--json", TORCHDYNAMO_DISABLE="0")
    return json.loads(done.stdout)


def test_result_has_the_promised_fields(relu):
    for field in (
        "workload target policy status baseline best error coverage library_share speed_of_light verdicts "
        "elapsed_s artifact versions"
    ).split():
        assert field in relu
    assert {"eager_ms", "compile_ms", "best_ms", "best_name"} <= relu["baseline"].keys()
    assert relu["status"] in ("improved", "baseline_kept")
    assert relu["policy"] == "strict" and relu["target"] == "cpu"
    promoted = [r["promotion"] for r in relu["regions"]]
    assert promoted[0]["verdict"] in ("accepted", "slower"), promoted
    if relu["status"] == "improved":
        assert relu["best"]["speedup_low"] > 1 and relu["coverage"] == 1
        assert {"ms", "latency_ms", "speedup", "speedup_low", "speedup_high", "program"} <= relu["best"].keys()


def test_artifact_is_whole_and_computes_the_same(home, relu):
    artifact = home / "out"
    for name in ("optimized.py", "original.py", "result.json", "graph.json", "report.html", "verdicts.jsonl"):
        assert (artifact / name).exists(), name
    assert not (home / "out.partial").exists()
    optimized = load(artifact)
    new = optimized.ModelNew(0.1)
    assert set(new.state_dict()) == {"bias"}
    x = torch.randn(256, 2048)
    with torch.inference_mode():
        torch.testing.assert_close(new(x), torch.nn.functional.leaky_relu(x + 0.5, 0.1) * torch.sigmoid(x))
        # A shape that nobody judged goes to the original.
        torch.testing.assert_close(new(x[:3]), torch.nn.functional.leaky_relu(x[:3] + 0.5, 0.1) * torch.sigmoid(x[:3]))
    new(x).sum().backward()
    assert new.bias.grad is not None


def test_verify_judges_again_and_rejects_what_is_wrong(home, relu):
    if relu["status"] != "improved":
        print("the baseline was kept here, so there is no program to spoil")
        assert json.loads(run(home, "verify", "out", "--json").stdout)["status"] == "accepted"
        return
    done = subprocess.run(["cp", "-r", str(home / "out"), str(home / "spoilt")], check=True)
    assert done.returncode == 0
    program = home / "spoilt" / "programs" / "r0"
    source = program / json.loads((program / "program.json").read_text())["source"]
    text = source.read_text()
    assert "= (float)" in text
    source.write_text(text.replace("= (float)", "= 1.001f * (float)"))
    rejected = json.loads(run(home, "verify", "spoilt", "--json", expect=3).stdout)
    assert rejected["status"] == "rejected" and "wrong" in rejected["reason"], rejected


def test_check_judges_one_program(home, relu):
    listed = json.loads(run(home, "archive", "list", "--json").stdout)
    verdicts = json.loads(run(home, "archive", "show", listed[0]["run"], "--json").stdout)
    correct = [v for v in verdicts if v["verdict"]["verdict"] in ("accepted", "slower")]
    run(home, "archive", "export", correct[-1]["program"], "--out", "candidate")
    done = subprocess.run(
        [binary(), "check", "relu.py", "candidate", "--json"],
        cwd=home,
        capture_output=True,
        text=True,
        env=dict(os.environ, KERNELWRIGHT_PYTHON=sys.executable, KERNELWRIGHT_CONFIG=""),
        timeout=300,
    )
    answer = json.loads(done.stdout)
    assert (answer["status"], done.returncode) in (("accepted", 0), ("slower", 3)), answer
    assert answer["ms"] > 0 and answer["error"]["candidate"]["rho_rms"] >= 0
    program = json.loads((home / "candidate" / "program.json").read_text())
    program["run"][0]["grid"] = [0]
    (home / "candidate" / "program.json").write_text(json.dumps(program))
    refused = run(home, "check", "relu.py", "candidate", expect=3)
    assert refused.stdout.startswith("refused:") and "grid" in refused.stdout


def test_an_accepted_gain_leaves_a_lesson(home, relu):
    lines = run(home, "archive", "lessons", "--export").stdout.splitlines()
    promoted = [r for r in relu["regions"] if r["promotion"]["verdict"] == "accepted"]
    lessons = {lesson["program"]: lesson for lesson in map(json.loads, lines)}
    assert [r["program_id"] for r in promoted] == [p for p in lessons if p in {r["program_id"] for r in promoted}]
    for region in promoted:
        lesson = lessons[region["program_id"]]
        assert "aten.sigmoid.default" in lesson["ops"].split() and lesson["target"] == "cpu"
        assert lesson["gain"] > 1 and lesson["change"]
        assert lesson["change"] in run(home, "archive", "lessons").stdout


def test_report_is_made_again(home, relu):
    (home / "out" / "report.html").unlink()
    run(home, "report", "out")
    page = (home / "out" / "report.html").read_text()
    assert "<script" not in page and "relu" in page


def test_unknown_op_makes_smaller_regions(home):
    (home / "split.py").write_text(SPLIT)
    result = json.loads(run(home, "optimize", "split.py", "--budget", "3s", "--out", "split", "--json").stdout)
    assert any("i0" in note["what"] for note in result["eager"]), result["eager"]
    assert len(result["regions"]) == 2
    x = torch.randn(64, 512)
    y = torch.special.i0(torch.tanh(x) * 2 + 1)
    with torch.inference_mode():
        torch.testing.assert_close(load(home / "split").ModelNew()(x), torch.sigmoid(y) * y)


def test_interrupt_leaves_the_best_so_far(home):
    (home / "conv.py").write_text(CONV)
    env = dict(
        os.environ, KERNELWRIGHT_PYTHON=sys.executable, KERNELWRIGHT_CONFIG="", KERNELWRIGHT_DATA_DIR=str(home / "data")
    )
    process = subprocess.Popen(
        [binary(), "optimize", "conv.py", "--budget", "10m", "--out", "cut", "--json"],
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # The search says so itself once it has judged a program.
    for line in process.stderr:
        if line.startswith("search"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    result = json.loads(out)
    assert result["interrupted"] and (home / "cut" / "optimized.py").exists()


def test_bench_at_drawn_sizes(home):
    (home / "drawn.py").write_text(RELU.replace("256", "ROWS") + 'ROWS = 8\nDRAWS = {"cpu": {"ROWS": (64, 512)}}\n')
    arguments = ["bench", "drawn.py", "--drawn", "2", "--budget", "2s", "--out", "drawn.jsonl", "--json"]
    assert json.loads(run(home, *arguments).stdout)["summary"]["right"] == 2
    rows = [json.loads(line) for line in (home / "drawn.jsonl").read_text().splitlines()]
    assert all(64 <= row["drawn"]["ROWS"] <= 512 for row in rows)
    assert len({row["spec"]["size"] for row in rows}) == 2 and all("--size cpu:" in row["command"] for row in rows)
    # Going on needs no seed; the same sizes again do.
    assert json.loads(run(home, *arguments, "--resume", timeout=20).stdout)["rows"] == 2
    refused = run(home, "bench", "drawn.py", "--drawn", "2", "--size", "cpu:1", expect=2)
    assert "--size takes none" in error_line(refused)
    wrong = run(home, "explain", "drawn.py", "--size", "cpu:x", expect=2)
    assert "cpu or gpu, with a seed or without" in wrong.stderr


MIXED = """
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.norm = torch.nn.LayerNorm(64)
        self.linear = torch.nn.Linear(36, 64)
    def forward(self, x):
        y = self.norm(self.linear(torch.relu(self.conv(x)).flatten(2)))
        return y, torch.softmax(y * x.sum(), -1)

def get_inputs():
    return [torch.randn(4, 3, 8, 8)]

def get_init_inputs():
    return []
"""


def test_under_autocast_a_module_is_judged_by_what_it_gives_there(home):
    (home / "mixed.py").write_text(MIXED)
    options = ("--policy", "bf16", "--budget", "3s", "--out", "mixed", "--json")
    result = json.loads(run(home, "optimize", "mixed.py", *options).stdout)
    verdicts = [v for region in result["regions"] for v in region["search"]["verdicts"]]
    assert result["policy"] == "bf16" and {"accepted", "slower"} & set(verdicts), result["regions"]
    module = load(home / "mixed").ModelNew()
    x = torch.randn(4, 3, 8, 8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert [y.dtype for y in module(x)] == [torch.bfloat16] * 2


def test_bench_resumes(home, relu):
    (home / "suite").mkdir(exist_ok=True)
    (home / "suite" / "one.py").write_text(RELU)
    first = json.loads(run(home, "bench", "suite", "--budget", "3s", "--out", "rows.jsonl", "--json").stdout)
    assert first["summary"]["workloads"] == 1 and first["summary"]["right"] == 1
    rows = (home / "rows.jsonl").read_text()
    again = json.loads(
        run(home, "bench", "suite", "--budget", "3s", "--out", "rows.jsonl", "--resume", "--json", timeout=20).stdout
    )
    assert again["summary"] == first["summary"] and (home / "rows.jsonl").read_text() == rows
    refused = run(home, "bench", "suite", "--out", "rows.jsonl", expect=2)
    assert "rows.jsonl exists already" in error_line(refused) and (home / "rows.jsonl").read_text() == rows
    # What fails is told at the end, when the others have run.
    (home / "suite" / "a_broken.py").write_text("raise ValueError('broken')")
    failed = run(home, "bench", "suite", "--budget", "3s", "--out", "rows.jsonl", "--resume", "--json", expect=2)
    assert error_line(failed) == "error: 1 of 2 workloads failed"
    assert json.loads(failed.stdout)["summary"]["right"] == 1
