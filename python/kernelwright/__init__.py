# SPDX-License-Identifier: Apache-2.0
"""kernelwright: verified, faster drop-ins for PyTorch modules."""

__version__ = "0.1.0"


def __getattr__(name):
    # PyTorch is loaded on first use only.
    if name == "optimize":
        from kernelwright.optimizing import optimize

        return optimize
    raise AttributeError(f"module 'kernelwright' has no attribute '{name}'")
