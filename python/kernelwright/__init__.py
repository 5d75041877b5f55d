# SPDX-License-Identifier: Apache-2.0
"""kernelwright: verified, faster drop-ins for PyTorch modules."""

import importlib.abc
import importlib.util
import sys

__version__ = "0.1.0"
_REGISTRY = "torch._dynamo.backends.registry"


def _register(registry):
    def kernelwright(graph, example_inputs, **options):
        from kernelwright.dynamo_backend import backend

        return backend(graph, example_inputs, **options)

    registry.register_backend(kernelwright)


class _WhenDynamoComes(importlib.abc.MetaPathFinder):
    """Registers torch.compile's backend "kernelwright" when Dynamo is imported, and not by importing it."""

    def find_spec(self, name, path, target=None):
        if name != _REGISTRY:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _register(module)

        spec.loader.exec_module = exec_module
        return spec


if _REGISTRY in sys.modules:
    if "kernelwright" not in sys.modules[_REGISTRY]._COMPILER_FNS:
        _register(sys.modules[_REGISTRY])
else:
    sys.meta_path.insert(0, _WhenDynamoComes())


def __getattr__(name):
    # PyTorch is loaded on first use only.
    if name == "optimize":
        from kernelwright.optimizing import optimize

        return optimize
    raise AttributeError(f"module 'kernelwright' has no attribute '{name}'")
