# SPDX-License-Identifier: Apache-2.0
"""`kernelwright.optimize`: a module in memory through the `kernelwright` program, and back as a module."""

import atexit
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch

from kernelwright.errors import EnvironmentError_, InputError, KernelwrightError, last_line, one_line

_PROGRAM = "kernelwright"


def find_program() -> Path:
    """$KERNELWRIGHT_PROGRAM, the package's own, the one beside python/ or share/ (a release, an installation), a
    checkout's build, the one on PATH."""
    named = os.environ.get("KERNELWRIGHT_PROGRAM")
    if named:
        if not Path(named).is_file():
            raise EnvironmentError_(f"KERNELWRIGHT_PROGRAM names no file: {named}")
        return Path(named)
    package = Path(__file__).resolve().parent
    places = [package / "bin" / _PROGRAM]
    if package.parent.name == "python":
        places += [folder / "bin" / _PROGRAM for folder in list(package.parents)[1:4:2]]
    places += [package.parents[1] / "build" / preset / "bin" / _PROGRAM for preset in ("release", "dev")]
    for place in places:
        if place.is_file():
            return place
    found = shutil.which(_PROGRAM)
    if found:
        return Path(found)
    raise EnvironmentError_("the kernelwright program is not there: build it, or name it in KERNELWRIGHT_PROGRAM")


def optimize(
    module,
    example_inputs=(),
    *,
    example_kwargs=None,
    target=None,
    policy=None,
    budget=None,
    threads=None,
    seed=None,
    out=None,
    quiet=False,
    resume=False,
):
    """A module with the same state_dict keys that shares `module`'s parameters and runs what was found for calls like
    the example; every other call, and every call that needs gradients, goes to `module`'s own forward.

    example_inputs: a tensor or the positional arguments; budget: "2m"; out: where the artifact stays (default: a
    folder that goes with this process); resume: goes on with what `out` and the archive hold. The result's `kernelwright_result` holds what `optimize --json` prints.
    """
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"optimize takes an nn.Module, not a {type(module).__name__}")
    args = (example_inputs,) if isinstance(example_inputs, torch.Tensor) else tuple(example_inputs)
    program = find_program()
    with tempfile.TemporaryDirectory(prefix="kernelwright-module-") as folder:
        saved = Path(folder) / f"{_file_name(module)}.pt2"
        _save(module, args, dict(example_kwargs or {}), saved)
        artifact = Path(out) if out is not None else _temporary_folder() / "artifact"
        options = {
            "--target": target,
            "--policy": policy,
            "--budget": budget,
            "--threads": threads,
            "--seed": seed,
            "--out": artifact,
        }
        command = [str(program), "--json", *(["--quiet"] if quiet else []), "optimize", str(saved)]
        for name, value in options.items():
            if value is not None:
                command += [name, str(value)]
        if resume:
            command.append("--resume")
        result = _run(command)
    from kernelwright.dropin import attach

    made = attach(copy.copy(module), Path(result.get("artifact") or artifact))
    made.__dict__["kernelwright_result"] = result
    return made


def _file_name(module) -> str:
    name = "".join(c if c.isalnum() else "_" for c in type(module).__name__)
    return name[:60] or "module"


def _save(module, args, kwargs, path) -> None:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.export.save(torch.export.export(module, args, kwargs, strict=False), path)
    except Exception as error:
        raise InputError(f"the module does not export: {last_line(error)}") from error


def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="kernelwright-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _run(command) -> dict:
    environment = dict(os.environ)
    environment.setdefault("KERNELWRIGHT_PYTHON", sys.executable)
    environment.setdefault("KERNELWRIGHT_PYTHON_DIR", str(Path(__file__).resolve().parents[1]))
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=False)
    except OSError as error:
        raise EnvironmentError_(f"cannot run {command[0]}: {error.strerror}") from error
    try:
        result = json.loads(done.stdout)
    except ValueError:
        result = None
    if done.returncode == 0 and isinstance(result, dict):
        return result
    message = "see the lines above"
    if isinstance(result, dict):
        error = result.get("error", result)
        message = error.get("message", message) if isinstance(error, dict) else str(error)
    kind = {2: InputError, 130: InputError}.get(done.returncode, KernelwrightError)
    raise kind(f"kernelwright optimize ended with {done.returncode}: {one_line(message)}")
