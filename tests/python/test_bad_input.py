# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a run: one clear line, exit code 2, nothing left behind."""

import os
import resource
import shutil
import subprocess

import pytest
from command_line import RELU, binary, environment, error_line, load, run

SMALL = RELU.replace("2048", "64").replace("256, 64", "8, 64")


def spoilt(old, new):
    assert old in SMALL
    return SMALL.replace(old, new)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("bad")


@pytest.fixture(autouse=True)
def no_out(home):
    """What one test leaves is not another's fault."""
    yield
    for name in ("out", "out.partial"):
        shutil.rmtree(home / name, ignore_errors=True)


def expect_one_line(home, done, *said):
    line = error_line(done)
    # What stands before it is the note of a phase that was passed.
    assert done.stderr.endswith(line + "\n"), done.stderr
    for text in said:
        assert text in line, line
    assert "Traceback" not in done.stderr and not done.stdout
    assert not (home / "out").exists() and not (home / "out.partial").exists()


FILES = {
    "missing module": ("import nothing_of_that_name\n", "nothing_of_that_name"),
    "syntax": ("class Model(:\n", "SyntaxError"),
    "exit": ("import sys\nsys.exit(0)\n", "SystemExit"),
    "death": ("import os\nos.kill(os.getpid(), 9)\n", "died of signal 9"),
    "no module": ("class Model:\n  pass\n", "Model"),
    "constructor": (spoilt("super().__init__()", "super().__init__(); raise ValueError('one\\ntwo')"), "one two"),
    "forward": (spoilt("+ self.bias", "+ self.bias + undefined_name"), "undefined_name"),
    "shape of an input": (spoilt("torch.randn(8, 64)", "torch.randn(8, 63)"), "float32[8, 63]"),
    "number of inputs": (spoilt("[torch.randn(8, 64)]", "[torch.randn(8, 64)] * 2"), "too many positional arguments"),
    "no inputs": (spoilt("[torch.randn(8, 64)]", "[]"), "missing a required argument"),
    "NaN weight": (spoilt("0.5)", "float('nan'))"), "weight bias holds NaN"),
    "no elements": (spoilt("torch.randn(8, 64)", "torch.zeros(0, 64)"), "input 0 has no elements"),
}


@pytest.mark.parametrize("what", FILES)
def test_the_users_file(home, what):
    text, said = FILES[what]
    (home / "bad.py").write_text(text)
    expect_one_line(home, run(home, "optimize", "bad.py", "--out", "out", expect=2), said)


def test_where_the_file_should_be(home):
    (home / "good.py").write_text(SMALL)
    (home / "bad.pt2").write_text("x")
    (home / "folder").mkdir()
    for workload, said in (
        ("nowhere.py", "no such file: nowhere.py"),
        ("good.py:Other", "no class Other"),
        ("nothing.there:Net", "no Python module named nothing"),
        ("bad.pt2", "cannot read bad.pt2"),
        ("folder", "folder"),
    ):
        expect_one_line(home, run(home, "optimize", workload, "--out", "out", expect=2), said)
    for options, said in (
        (["--init", "[1"], "--init"),
        (["--inputs", "f32[8,"], "--inputs"),
        (["--inputs", "nowhere.pt"], "nowhere.pt"),
        (["--policy", "tf32"], "tf32"),
        (["--target", "tpu"], "tpu"),
        (["--out", "good.py/out"], "good.py"),
        (["--out", "good.py"], "exists already"),
    ):
        out = [] if "--out" in options else ["--out", "out"]
        expect_one_line(home, run(home, "optimize", "good.py", *options, *out, expect=2), said)
    assert (home / "good.py").read_text() == SMALL


def test_no_compiler_and_no_python(home):
    (home / "good.py").write_text(SMALL)
    (home / "empty").mkdir(exist_ok=True)
    optimize = ["optimize", "good.py", "--out", "out"]
    for variables, said in (
        ({"PATH": str(home / "empty")}, "neither g++ nor clang++ is on PATH"),
        ({"KERNELWRIGHT_CXX": str(home / "no-compiler")}, "no-compiler"),
        ({"KERNELWRIGHT_CXX": "/bin/false"}, "/bin/false"),
        ({"KERNELWRIGHT_PYTHON": "/bin/false"}, "no PyTorch"),
        ({"KERNELWRIGHT_DATA_DIR": str(home / "good.py" / "data")}, "good.py/data"),
        ({"KERNELWRIGHT_CACHE_DIR": str(home / "good.py" / "cache")}, "good.py/cache"),
    ):
        expect_one_line(home, run(home, *optimize, expect=2, **variables), said)


def can_mount():
    probe = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=4k tmpfs /tmp"]
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


MOUNTS = can_mount()


def run_with_small(home, folder, size, **more):
    """`optimize` with `folder` on a file system of `size`; what it left there is listed on stdout."""
    (home / "good.py").write_text(SMALL)
    folder.mkdir(exist_ok=True)
    script = (
        'mount -t tmpfs -o "size=$1" tmpfs "$2" || exit 99; "$3" optimize good.py --budget 1s --out "$4" >&2; code=$?; '
        'ls -A "$2" | grep -v "^data$\\|^cache$"; exit $code'
    )
    out = folder / "out" if not more else home / "out"
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", size, folder, binary(), out],
        env=environment(home, **more),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def warm(home):
    """The cache knows compiler and machine, so that the tests below meet a full disk where they mean to."""
    run(home, "probe")


@pytest.mark.skipif(not MOUNTS, reason="no user namespaces here: nothing small can be mounted")
@pytest.mark.parametrize(
    "which, size, said",
    [
        ("out", "4k", ["No space left on device"]),
        # The artifact's own files no longer fit.
        ("out", "24k", ["cannot write", "No space left on device"]),
        ("data", "4k", ["archive", "database or disk is full", "archive.sqlite"]),
        # Room for the tables, not for the verdicts.
        ("data", "128k", ["archive", "database or disk is full", "archive.sqlite"]),
        ("cache", "4k", ["cache", "No space left on device"]),
        ("tmp", "4k", ["No space left on device"]),
        # Room for the source, not for what the compiler makes of it.
        ("tmp", "136k", ["cannot build in", "No space left on device"]),
    ],
)
def test_a_full_disk(home, warm, which, size, said):
    small = home / f"small-{which}-{size}"
    variables = {
        "out": {},
        "data": {"KERNELWRIGHT_DATA_DIR": str(small / "data")},
        "cache": {"KERNELWRIGHT_CACHE_DIR": str(small / "cache")},
        "tmp": {"TMPDIR": str(small), "KERNELWRIGHT_CACHE_DIR": str(home / f"cache-{size}")},
    }[which]
    if which == "tmp":
        # Knows the machine, but no object.
        shutil.rmtree(home / f"cache-{size}", ignore_errors=True)
        shutil.copytree(os.environ.get("KERNELWRIGHT_CACHE_DIR", home / "cache"), home / f"cache-{size}")
        shutil.rmtree(home / f"cache-{size}" / "objects", ignore_errors=True)
    done = run_with_small(home, small, size, **variables)
    assert done.returncode == 2, done.stderr
    expect_one_line(home, done, *said)


def test_a_limit_on_file_sizes(home, warm):
    """`ulimit -f`: too large a file is an error like a full disk, not a death by signal."""
    (home / "good.py").write_text(SMALL)
    done = subprocess.run(
        [binary(), "optimize", "good.py", "--budget", "1s", "--out", "out"],
        env=environment(home, KERNELWRIGHT_DATA_DIR=str(home / "limited")),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 13, 1 << 13)),
    )
    assert done.returncode == 2, done.stderr
    expect_one_line(home, done)


def test_weights_that_are_not_finite_but_meant(home):
    """A mask of -inf is a weight like another."""
    import torch

    (home / "mask.py").write_text(spoilt("torch.full((64,), 0.5)", "torch.tensor([0.5, float('-inf')] * 32)"))
    run(home, "optimize", "mask.py", "--budget", "1s", "--out", "mask")
    x = torch.randn(8, 64)
    bias = torch.tensor([0.5, float("-inf")] * 32)
    with torch.inference_mode():
        expected = torch.nn.functional.leaky_relu(x + bias, 0.1) * torch.sigmoid(x)
        torch.testing.assert_close(load(home / "mask").ModelNew(0.1)(x), expected, equal_nan=True)
