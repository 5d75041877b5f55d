# SPDX-License-Identifier: Apache-2.0
"""scripts/check-portable: passes the release, and names each thing that another machine would not have."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import binary

ROOT = Path(__file__).resolve().parents[2]
RELEASES = sorted(p for p in (ROOT / "dist").glob("kernelwright-*") if p.is_dir())

pytestmark = pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf")


def check(folder, **environment):
    return subprocess.run(
        [ROOT / "scripts" / "check-portable", folder],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.skipif(not RELEASES, reason="no release in dist/: `make portable` makes one")
def test_the_release_needs_libc_alone():
    done = check(RELEASES[-1])
    assert done.returncode == 0, done.stderr
    # The check can fail.
    old = check(RELEASES[-1], KERNELWRIGHT_GLIBC="2.17")
    assert old.returncode == 1 and "bin/kernelwright needs glibc" in old.stderr


def test_a_build_for_development_is_no_release(tmp_path):
    """What a release must not be: linked to our packages, without its parts, with compiled Python."""
    release = tmp_path / "release"
    for part in ("bin", "lib", "python/kernelwright", "workloads/model"):
        (release / part).mkdir(parents=True)
    shutil.copy(binary(), release / "bin")
    shutil.copy(binary().parents[1] / "lib" / "libkernelwright_runtime.so", release / "lib")
    (release / "python" / "kernelwright" / "native.so").write_text("")
    done = check(release)
    assert done.returncode == 1
    for said in (
        "bin/kernelwright needs libsqlite3.so",
        "bin/kernelwright needs libstdc++.so",
        "README is missing",
        "python/kernelwright/worker.py is missing",
        "native.so",
    ):
        assert said in done.stderr, done.stderr


def test_the_runtime_needs_no_package_of_ours():
    """It goes into site-packages of machines that have no libfmt."""
    runtime = binary().parents[1] / "lib" / "libkernelwright_runtime.so"
    listed = subprocess.run(["readelf", "-dW", runtime], capture_output=True, text=True, check=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in listed.splitlines() if "(NEEDED)" in line]
    linked = ("libc.", "libm.", "ld-linux", *(["libfmt."] if "/dev/" in str(runtime) else []))
    others = [name for name in needed if not name.startswith(linked)]
    assert needed and not others
