# SPDX-License-Identifier: Apache-2.0
"""Schedules that were accepted for one shape are what the search of another shape begins with."""

import json
import sqlite3

import pytest
from command_line import run

pytestmark = pytest.mark.timed

# Far from its speed of light, which counts the product alone: a search that is near it would end with the first program.
LINEAR = """
import torch

class Model(torch.nn.Module):
    def forward(self, a, b):
        return torch.tanh(torch.tanh(torch.tanh(torch.matmul(a, b))))

def get_inputs():
    return [torch.randn(96, 64), torch.randn(64, 128)]
"""


def optimized(home, out, *arguments):
    done = run(home, "optimize", "linear.py", "--budget", "8s", "--seed", "1", "--out", out, *arguments)
    return json.loads((home / out / "result.json").read_text())["regions"][0]["search"], done.stdout


def test_another_shape_begins_with_what_was_accepted(tmp_path):
    (tmp_path / "linear.py").write_text(LINEAR)
    first, text = optimized(tmp_path, "one")
    assert first["taken_over"] == []
    assert "taken over" not in text
    second, text = optimized(tmp_path, "two", "--inputs", "f32[64,96],f32[96,256]")
    assert len(second["taken_over"]) == 1
    taken = second["taken_over"][0]
    assert "1 schedule taken over from similar shapes" in text
    with sqlite3.connect(tmp_path / "data" / "archive.sqlite") as archive:
        programs = [
            (row[0], row[1])
            for row in archive.execute(
                "SELECT v.program, v.parent FROM verdict v JOIN run r ON r.id = v.run "
                "WHERE r.out_dir LIKE '%two' ORDER BY v.id"
            )
        ]
        one = {
            row[0]
            for row in archive.execute(
                "SELECT program FROM verdict v JOIN run r ON r.id = v.run WHERE r.out_dir LIKE '%one'"
            )
        }
    # Judged before anything else, as a child of the program whose schedule it is.
    assert programs[0] == (taken["program"], taken["from"])
    assert taken["from"] in one
    assert len({program for program, _ in programs}) > 1
