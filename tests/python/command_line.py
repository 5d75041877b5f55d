# SPDX-License-Identifier: Apache-2.0
"""Runs the program as a user does; what the tests of the command line share."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RELU = """
import torch

class Model(torch.nn.Module):
    def __init__(self, slope):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.full((2048,), 0.5))
        self.slope = slope
    def forward(self, x):
        return torch.nn.functional.leaky_relu(x + self.bias, self.slope) * torch.sigmoid(x)

def get_inputs():
    return [torch.randn(256, 2048)]

def get_init_inputs():
    return [0.1]
"""

# No program comes near its speed of light, so that a search of it does not end before its budget's first seconds.
CONV = """
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(16, 24, 3, stride=2, padding=1)
    def forward(self, x):
        return torch.nn.functional.gelu(self.conv(x))

def get_inputs():
    return [torch.randn(4, 16, 30, 30)]

def get_init_inputs():
    return []
"""


def binary():
    named = os.environ.get("KERNELWRIGHT_BINARY")
    places = [Path(named)] if named else [ROOT / "build" / p / "bin" / "kernelwright" for p in ("dev", "release")]
    for place in places:
        if place.exists():
            return place
    pytest.fail(f"no kernelwright binary in {places}: build it first")


def environment(home, **more):
    """Of one test's own: nothing of the user's archive, cache or settings. Without torch.compile, whose start costs more
    than all else of a small run, unless TORCHDYNAMO_DISABLE="0" asks for it."""
    env = dict(
        os.environ, KERNELWRIGHT_PYTHON=sys.executable, KERNELWRIGHT_CONFIG="", KERNELWRIGHT_DATA_DIR=str(home / "data")
    )
    env.setdefault("TORCHDYNAMO_DISABLE", "1")
    env.setdefault("KERNELWRIGHT_CACHE_DIR", str(home / "cache"))
    env.update(more)
    return env


def run(home, *args, expect=0, timeout=300, **more):
    done = subprocess.run(
        [binary(), *map(str, args)],
        env=environment(home, **more),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def error_line(done):
    """The one line that says what went wrong."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, done.stderr
    return errors[0]


def load(artifact):
    spec = importlib.util.spec_from_file_location("optimized", artifact / "optimized.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
