# SPDX-License-Identifier: Apache-2.0
"""scripts/check-gpu against a release that is made of shell scripts: parts, limits, what is printed and kept."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check-gpu"
PROGRAM = """#!/bin/sh
case "$*" in
  doctor) echo "cuda: an H100" ;;
  probe*) exit 2 ;;
  *check*sleeper*) echo $$ >"$LOGS/pid"; exec sleep 600 ;;
  *check*) echo noise >&2; echo '{"status": "accepted", "ms": 0.5, "reference": "eager", "reference_ms": 1.0, "speedup": 2.0}' ;;
  bench*) for last; do :; done; echo '{"workload": "'$(basename "$2" .py)'", "status": "baseline_kept", "best": null, "coverage": 1.0,
    "baseline": {"eager_ms": 1.0, "compile_ms": 0.9}, "regions": [{"search": {"curve": [{"ms": 1.5, "idea": "wide loads"}]}}]}' |
    tr -d '\\n' >>"$last"; echo >>"$last" ;;
esac
"""
JUDGE = """#!/bin/sh
if [ "$1" = --against-itself ]; then echo "ok   $3 against itself: faster in 1 of $4 runs (at most $5)"; exit; fi
shift
for name; do if [ "$name" = bad ]; then echo "FAIL bad  got accepted"; else echo "ok   $name refused"; fi; done
"""


@pytest.fixture
def tree(tmp_path):
    def write(path, text, mode=0o644):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    write("dist/kernelwright-1/bin/kernelwright", PROGRAM, 0o755)
    write("build/portable/bin/kw_judge", JUDGE, 0o755)
    for name in ("good", "bad", "infinite_loop"):
        write(f"tests/adversarial/cuda/{name}/expect.json", "{}")
    for name in ("quick", "sleeper"):
        write(f"tests/honest/cuda/{name}/program.json", "{}")
    write("workloads/single/gelu.py", "")
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    return tmp_path


def session(tree, *words):
    environment = {**os.environ, "LOGS": str(tree / "out"), "KERNELWRIGHT_PYTHON": sys.executable, "TOOLS": ""}
    script = tree / "scripts" / "check-gpu"
    done = subprocess.run(
        [sys.executable, script, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_parts_are_run_and_summed_up(tree):
    said = session(tree, "doctor", "attacks", "itself:20", "proofs:quick", "bench", "headers")
    summary = said.partition("=== summary")[2]
    assert "doctor ok, probe FAILED" in summary
    assert "2 of 3 as expected" in summary and "FAIL bad" in said
    assert "faster in 1 of 20 runs (at most 1)" in summary
    assert "1 of 1 accepted" in summary and "sleeper" not in said
    assert "1 right, 0 improved" in summary and "1.5000 ms: wide loads" in said
    assert "no kw_device_tests here" in summary
    logs = sorted(path.name for path in (tree / "out").iterdir())
    assert logs == ["attacks.log", "bench.jsonl", "bench.log", "checks.log", "itself.log", "proofs.log"]
    assert json.loads((tree / "out" / "bench.jsonl").read_text())["workload"] == "gelu"


def test_a_hang_ends_with_the_time_and_the_rest_is_named(tree):
    said = session(tree, "--minutes", "0.09", "proofs:quick,sleeper", "doctor")
    assert "quick" in said and "accepted" in said
    assert "sleeper" in said and "stopped after" in said
    assert "skipped: no time left" in said
    pid = int((tree / "out" / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_unknown_part_is_one_line(tree):
    done = subprocess.run(
        [sys.executable, tree / "scripts" / "check-gpu", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "unknown part 'nothing'" in done.stderr.splitlines()[-1]
