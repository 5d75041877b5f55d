# SPDX-License-Identifier: Apache-2.0
"""PyTorch's shortest ways through a call, those that its own compiler's code takes, and the public ones where a version lacks
them. On cold caches each look into PyTorch costs microseconds (docs/results-cpu.md, "Python on cold caches")."""

import functools

import torch

_guards = getattr(torch._C._dynamo, "guards", None)


def empty_maker(shape, dtype, device):
    """callable() -> a contiguous tensor of that type whose content is not set."""
    strided = getattr(_guards, "_empty_strided_cpu", None)
    if device.type != "cpu" or strided is None:
        return functools.partial(torch.empty, shape, dtype=dtype, device=device)
    return functools.partial(strided, shape, torch.empty(shape, device="meta").stride(), dtype)


def recognizer(tensors):
    """callable(*tensors) -> whether they are like these in class, dtype, device, shape, strides and dispatch keys (which
    autocast, functorch's levels, tracing and inference mode change), without a gradient wanted. None: these are not
    contiguous, they want one, or PyTorch lacks such a guard."""
    kind = getattr(_guards, "TensorGuards", None)
    if kind is None or not tensors or any(t.requires_grad or not t.is_contiguous() for t in tensors):
        return None
    try:
        guard = kind(
            *tensors,
            dynamic_dims_sizes=[list(t.shape) for t in tensors],
            dynamic_dims_strides=[list(t.stride()) for t in tensors],
        )
        return guard.check if guard.check(*tensors) is True else None
    except (RuntimeError, SystemError, TypeError, ValueError):  # another version's arguments
        return None
