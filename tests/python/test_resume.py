# SPDX-License-Identifier: Apache-2.0
"""optimize --resume: what a killed run judged is not lost and not judged again."""

import json
import signal
import sqlite3
import subprocess

import pytest
import torch
from command_line import CONV, binary, environment, error_line, load, run

pytestmark = pytest.mark.timed


def verdicts(home):
    """Rows of the archive, oldest first: (run, program, tier)."""
    with sqlite3.connect(home / "data" / "archive.sqlite") as archive:
        return list(archive.execute("SELECT run, program, tier FROM verdict ORDER BY id"))


def statuses(home):
    with sqlite3.connect(home / "data" / "archive.sqlite") as archive:
        return dict(archive.execute("SELECT id, status FROM run"))


def start_and_wait_for_verdicts(home, *args, count):
    process = subprocess.Popen(
        [binary(), *args], cwd=home, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    # The search says so once it has judged a program.
    for line in process.stderr:
        if line.startswith("search"):
            break
    while len(verdicts(home)) < count:
        try:
            raise AssertionError(f"the run ended early: {process.wait(timeout=0.02)}")
        except subprocess.TimeoutExpired:
            pass
    return process


def test_a_killed_run_goes_on(tmp_path):
    home = tmp_path
    (home / "conv.py").write_text(CONV)
    (home / "other.py").write_text(CONV)
    process = start_and_wait_for_verdicts(home, "optimize", "conv.py", "--budget", "10m", "--out", "out", count=6)
    try:
        # The folder of a live run is nobody else's.
        for more in ([], ["--resume"]):
            refused = run(home, "optimize", "conv.py", "--out", "out", *more, expect=2)
            assert "still goes on" in error_line(refused)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    assert (home / "out.partial").exists() and not (home / "out").exists()
    before = verdicts(home)
    assert len(before) >= 6
    # Another workload neither goes on with it nor takes it away.
    found = sorted((home / "out.partial" / "best").rglob("program.json"))
    assert found
    refused = run(home, "optimize", "other.py", "--out", "out", "--resume", expect=2)
    assert "holds a run of 'conv', not of 'other'" in error_line(refused)
    assert sorted((home / "out.partial" / "best").rglob("program.json")) == found

    result = json.loads(run(home, "optimize", "conv.py", "--budget", "3s", "--out", "out", "--resume", "--json").stdout)
    assert not (home / "out.partial").exists()
    for name in ("optimized.py", "original.py", "result.json", "graph.json", "report.html", "verdicts.jsonl"):
        assert (home / "out" / name).exists(), name
    after = verdicts(home)
    assert after[: len(before)] == before
    killed = before[0][0]
    again = {row[1] for row in after if row[0] != killed and row[2] == "search"}
    assert not again & {row[1] for row in before}, "judged again"
    # The artifact tells of both.
    lines = [json.loads(line) for line in (home / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert [line["program"] for line in lines] == [row[1] for row in after]
    assert sum(result["verdicts"].values()) == len(after)
    assert statuses(home)[killed] == "killed"
    assert sorted(statuses(home).values())[0] in ("baseline_kept", "improved")
    x = torch.randn(4, 16, 30, 30)
    model = load(home / "out").ModelNew()
    with torch.inference_mode():
        torch.testing.assert_close(model(x), torch.nn.functional.gelu(model.conv(x)))

    # A finished run goes on too, under a new run; another workload does not take its place.
    for more, said in ([[], "exists already"], [["--resume"], "holds a run of 'conv', not of 'other'"]):
        assert said in error_line(run(home, "optimize", "other.py", "--out", "out", *more, expect=2))
    assert not (home / "out.partial").exists()
    finished = json.loads(
        run(home, "optimize", "conv.py", "--budget", "1s", "--out", "out", "--resume", "--json").stdout
    )
    assert finished["artifact"] == result["artifact"]
    assert sum(finished["verdicts"].values()) == len(verdicts(home)) > len(after)
    third = {row[1] for row in verdicts(home)[len(after) :] if row[2] == "search"}
    assert not third & {row[1] for row in after}
    assert json.loads((home / "out" / "result.json").read_text())["verdicts"] == finished["verdicts"]
