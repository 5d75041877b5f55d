# SPDX-License-Identifier: Apache-2.0
"""What the expert writes for cuda compiles for every generation of GPU (NVRTC; no GPU needed)."""

import importlib.util
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "expert_cuda.py"
SPEC = importlib.util.spec_from_file_location("expert_cuda", SCRIPT)
expert_cuda = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(expert_cuda)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """All programs of all cases in one text, kernels renamed apart; and how many kernels there are."""
    tool = expert_cuda.find_tool()
    if tool is None:
        pytest.skip("kw_expert_programs is not built")
    base, text = tmp_path_factory.mktemp("programs"), ""
    for name, entry in expert_cuda.cases(small=True).items():
        for folder in expert_cuda.propose(tool, name, entry, base / name, 1)[0]:
            one = (folder / "kernels.cu").read_text()
            text += re.sub(r"\bk(\d+)_", f"{name}_{folder.name}_\\1_", one)
    return text, set(re.findall(r"__launch_bounds__\(\d+, \d+\)\s+(\w+)\(", text))


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a", "sm_100"])
def test_every_program_compiles(source, arch):
    lib = expert_cuda.nvrtc()
    if lib is None:
        pytest.skip("needs NVRTC (package nvidia-cuda-nvrtc)")
    text, kernels = source
    assert len(kernels) > 60
    cubin = expert_cuda.compile_source(lib, text, arch)
    for kernel in kernels:
        assert f".text.{kernel}".encode() in cubin, kernel
