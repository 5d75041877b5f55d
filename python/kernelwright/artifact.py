# SPDX-License-Identifier: Apache-2.0
"""An artifact's folder as a drop-in reads it (docs/artifact.md)."""

import contextlib
import json
import re
from pathlib import Path

import torch

from kernelwright import native
from kernelwright.errors import EnvironmentError_, InputError


class Artifact:
    """What lies in an artifact's folder, read once."""

    def __init__(self, path):
        path = Path(path).resolve()
        self.folder = path if path.is_dir() else path.parent
        self.result = self._read("result.json")
        self.graph = self._read("graph.json")
        self.policy = self.result.get("policy", "strict")
        regions = self.result.get("regions", [])
        self.programs = [r for r in regions if r.get("accepted") and r.get("program")]
        self.parts = self.graph.get("parts")
        self.constants = {}
        if (self.folder / "constants.safetensors").is_file():
            from safetensors.torch import load_file

            self.constants = load_file(str(self.folder / "constants.safetensors"))
        if self.programs:
            self._check_machine()

    def _read(self, name):
        try:
            value = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {self.folder / name}: {error}") from None
        if not isinstance(value, dict):
            raise InputError(f"{self.folder / name} is not a JSON object")
        return value

    @property
    def on_gpu(self):
        target = self.result.get("target") or self.result.get("spec", {}).get("target", "cpu")
        return target.startswith("cuda")

    def _check_machine(self):
        remedy = "`kernelwright verify` rebuilds it here"
        abi = self.result.get("abi")
        if abi != native.ABI:
            raise EnvironmentError_(
                f"the artifact {self.folder.name} has runtime ABI {abi}, this kernelwright has {native.ABI}: {remedy}"
            )
        if self.on_gpu:
            self._check_gpu(remedy)
            return
        missing = sorted(set(self.result.get("cpu_features", "").split()) - set(native.cpu_features().split()))
        if missing:
            raise EnvironmentError_(
                f"the artifact {self.folder.name} was built for another CPU (here without "
                f"{' '.join(missing)}): {remedy}"
            )

    def _check_gpu(self, remedy):
        if not torch.cuda.is_available():
            raise EnvironmentError_(f"the artifact {self.folder.name} is for a GPU, and PyTorch finds none here")
        for region in self.programs:
            arch = self._read(f"{region['program']}/program.json").get("arch", "")
            if arch and not any(_runs(arch, i) for i in range(torch.cuda.device_count())):
                name = torch.cuda.get_device_name(0)
                raise EnvironmentError_(f"the artifact {self.folder.name} was built for {arch}, not {name}: {remedy}")

    @contextlib.contextmanager
    def naming_what_is_missing(self):
        """A file that the user's code looks for in this folder, and that did not travel along, is said in one line."""
        try:
            yield
        except (FileNotFoundError, InputError) as error:
            name = self._missing(error if isinstance(error, FileNotFoundError) else error.__cause__)
            if name is None:
                raise
            source = self.result.get("spec", {}).get("source")
            raise InputError(
                f"the artifact {self.folder.name} lacks {name}, which its original reads"
                + (f": copy it from {Path(source).parent / name}" if source else "")
            ) from error

    def _missing(self, error):
        """What a FileNotFoundError is about, relative to this folder; None: nothing in it."""
        if not isinstance(error, FileNotFoundError):
            return None
        path = str(error.filename or "")
        if not path:  # some libraries only say it in words
            found = re.search(re.escape(str(self.folder)) + r"/[^'\":]+", str(error))
            path = found.group().rstrip() if found else ""
        path = Path(path).resolve()
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) and path != self.folder else None

    def part_graph(self, part):
        """Graph of the whole, or of one part, with its "call"."""
        if part is None:
            return self.graph
        entry = self.parts[part]
        return {
            **self.graph,
            "nodes": [n for n in self.graph["nodes"] if n.get("part") == part],
            "inputs": entry["inputs"],
            "outputs": entry["outputs"],
            "mutations": entry.get("mutations", []),
            "call": entry.get("call"),
        }

    def regions_of(self, part):
        if part is None:
            return self.programs
        names = {n["name"] for n in self.graph["nodes"] if n.get("part") == part}
        return [r for r in self.programs if names.issuperset(r["nodes"])]

    def open_program(self, region):
        folder = self.folder / region["program"]
        named = "object.cubin" if (folder / "object.cubin").is_file() else "object.so"
        return native.Program.open(folder, named)


def _runs(arch, device):
    """Whether a cubin for `arch` (sm_90a, sm_80) runs on a device: the same major number, no newer minor one; with an
    `a`, exactly that chip."""
    digits = arch.removeprefix("sm_").rstrip("abcdefghijklmnopqrstuvwxyz")
    if not digits.isdigit():
        return True
    major, minor = torch.cuda.get_device_capability(device)
    built = int(digits)
    if not digits == arch.removeprefix("sm_"):
        return built == major * 10 + minor
    return built // 10 == major and built % 10 <= minor
