# SPDX-License-Identifier: Apache-2.0
"""Where a workload lives: `cpu`, or one GPU."""

import contextlib

import torch
from torch.utils import _pytree as pytree

from kernelwright.errors import EnvironmentError_, InputError

LARGE = 1 << 30  # bytes: from here on, answers and inputs on a GPU are handled piece by piece


def of_target(target: str) -> torch.device:
    """The device of a target's name: cpu, cuda, cuda:1. Makes a GPU the current one."""
    if target == "cpu":
        return torch.device("cpu")
    kind, _, number = target.partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise InputError(f"this worker knows no target '{target}'")
    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = (
            f"PyTorch {torch.__version__} is built for CUDA {built} but finds no device"
            if built
            else (f"PyTorch {torch.__version__} is built without CUDA")
        )
        raise EnvironmentError_(f"target {target}: {why}")
    index = int(number or 0)
    if index >= torch.cuda.device_count():
        raise InputError(f"target {target}: there are {torch.cuda.device_count()} devices")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def moved(tree, device):
    """`tree` with its tensors on `device`."""
    return pytree.tree_map(lambda v: v.to(device) if isinstance(v, torch.Tensor) else v, tree)


def portable(device) -> str:
    """How the graph names a device: without the number, which another machine counts differently."""
    return torch.device(device).type


def on(device):
    """A context in which factory functions make their tensors on `device`."""
    return torch.device(device) if torch.device(device).type != "cpu" else contextlib.nullcontext()


def random_devices() -> list:
    """Indices for torch.random.fork_rng: the GPU in use, if one is. It must not wake the others."""
    return [torch.cuda.current_device()] if torch.cuda.is_initialized() else []


def trim(device) -> None:
    """Gives the caching allocator's free blocks back to the GPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


def free_bytes(device) -> int:
    """Memory of a GPU that PyTorch could still allocate, its own cached blocks included."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def size_of(tensors) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
