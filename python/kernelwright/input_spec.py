# SPDX-License-Identifier: Apache-2.0
"""The --inputs grammar, and example inputs that come from a file.

    inputs := input ("," input)*
    input  := [name "="] dtype "[" [size ("," size)*] "]" ["<" bound]

Floats are drawn from a standard normal, integers from [0, bound) (bound 2 when left out), booleans evenly.
"""

import re
from dataclasses import dataclass, field

import torch

from kernelwright.errors import InputError

DTYPES = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i64": torch.int64,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
    "u32": torch.uint32,
    "bool": torch.bool,
}  # docs/graph-format.md
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
MAX_ELEMENTS = 1 << 34

_INPUT = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*=\s*)?([a-z]+\d*)\s*\[([\d\s,]*)\]\s*(?:<\s*(\d+)\s*)?")


@dataclass(frozen=True)
class InputSpec:
    dtype: str
    shape: tuple
    bound: int | None = None
    name: str | None = None

    def text(self):
        prefix = f"{self.name}=" if self.name else ""
        suffix = f"<{self.bound}" if self.bound is not None else ""
        return f"{prefix}{self.dtype}[{','.join(map(str, self.shape))}]{suffix}"

    def draw(self):
        dtype = DTYPES[self.dtype]
        if dtype == torch.bool:
            return torch.rand(self.shape) < 0.5
        if dtype.is_floating_point:
            return torch.randn(self.shape, dtype=torch.float64 if dtype == torch.float64 else None).to(dtype)
        return torch.randint(0, self.bound or 2, self.shape).to(dtype)


@dataclass(frozen=True)
class InputSpecs:
    inputs: tuple = field(default=())

    def text(self):
        return ",".join(item.text() for item in self.inputs)

    def draw(self):
        """(args, kwargs) from torch's global generator."""
        drawn = [(item.name, item.draw()) for item in self.inputs]
        return tuple(t for name, t in drawn if not name), {name: t for name, t in drawn if name}


def parse_inputs(text):
    """Reads the grammar above; InputError with the place."""
    items, position = [], 0
    while True:
        match = _INPUT.match(text, position)
        if not match:
            raise InputError(f"--inputs: expected something like f32[8,16] at column {position + 1}", given=text)
        items.append(_item(text, match))
        position = match.end()
        if position == len(text):
            break
        if text[position] != ",":
            raise InputError(f"--inputs: expected a comma at column {position + 1}", given=text)
        position += 1
    names = [item.name for item in items if item.name]
    if len(set(names)) != len(names):
        raise InputError("--inputs: a name is given twice", given=text)
    return InputSpecs(tuple(items))


def _item(text, match):
    name, dtype, sizes, bound = match.groups()
    if dtype not in DTYPES:
        raise InputError(f"--inputs: unknown dtype '{dtype}'", known=" ".join(DTYPES))
    parts = [part.strip() for part in sizes.split(",")] if sizes.strip() else []
    if any(not part.isdigit() for part in parts):
        raise InputError(f"--inputs: '[{sizes}]' is not a list of sizes", given=text)
    shape = tuple(int(part) for part in parts)
    count = 1
    for size in shape:
        count *= size
    if count == 0:
        raise InputError(f"--inputs: {dtype}[{sizes}] has no elements")
    if count > MAX_ELEMENTS:
        raise InputError(f"--inputs: {dtype}[{sizes}] has more than {MAX_ELEMENTS} elements")
    if bound is not None:
        kind = DTYPES[dtype]
        if kind.is_floating_point or kind == torch.bool:
            raise InputError(f"--inputs: a bound makes no sense for {dtype}", given=text)
        highest = torch.iinfo(kind).max
        if not 1 <= int(bound) <= highest:
            raise InputError(f"--inputs: the bound of {dtype} must be from 1 to {highest}", given=text)
        bound = int(bound)
    return InputSpec(dtype, shape, bound, name)


def file_inputs(args, kwargs):
    """(seed) -> (args, kwargs) for stored inputs: seed 0 gives them as they are, another seed shuffles
    the elements of floating tensors, which keeps their domain. Integers, booleans and tensors with
    infinities (masks) stay."""

    def redraw(value, generator):
        if not isinstance(value, torch.Tensor):
            return value
        if generator is None or not value.is_floating_point() or not torch.isfinite(value).all():
            return value.detach().clone()
        order = torch.randperm(value.numel(), generator=generator)
        return value.detach().reshape(-1)[order].reshape(value.shape)

    def make(seed):
        generator = torch.Generator().manual_seed(seed & 0xFFFFFFFFFFFFFFFF) if seed else None
        return torch.utils._pytree.tree_map(lambda v: redraw(v, generator), (tuple(args), dict(kwargs)))

    return make
