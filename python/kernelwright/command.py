# SPDX-License-Identifier: Apache-2.0
"""The `kernelwright` command of an installed package: becomes the program that lies beside it."""

import os
import sys
from pathlib import Path


def main():
    program = Path(__file__).resolve().parent / "bin" / "kernelwright"
    if not program.is_file():
        sys.exit(f"error: {program} is missing: install the package again")
    # The program finds PyTorch through the interpreter that it was installed for.
    os.environ.setdefault("KERNELWRIGHT_PYTHON", sys.executable)
    os.execv(program, ["kernelwright", *sys.argv[1:]])
