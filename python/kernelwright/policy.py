# SPDX-License-Identifier: Apache-2.0
"""Numerics policies: what the baseline may do, and the unit roundoff that errors are measured in."""

import contextlib

import torch

UNIT = {torch.float64: 2.0**-53, torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
POLICY_UNIT = {"strict": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8, "fp16": 2.0**-11}


def apply(policy: str) -> None:
    """Sets the process-wide switches of a policy."""
    tf32 = policy == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def context(policy: str, device: str = "cpu", tracing: bool = False):
    """What a call of the user's module runs under. device: "cpu" or "cuda". While tracing, casts of weights are
    not kept from one use to the next."""
    if policy in ("bf16", "fp16"):
        dtype = torch.bfloat16 if policy == "bf16" else torch.float16
        return torch.autocast(device, dtype, cache_enabled=not tracing)
    return contextlib.nullcontext()


def unit(policy: str, tensors) -> float:
    """Unit roundoff of a call: the policy's, or that of the narrowest float among `tensors` when larger.

    A module that is in double precision throughout is measured in double precision's unit.
    """
    floats = [UNIT[t.dtype] for t in tensors if t.dtype in UNIT]
    widest = max(floats, default=UNIT[torch.float32])
    if policy == "strict":
        return widest
    return max(widest, POLICY_UNIT[policy])
