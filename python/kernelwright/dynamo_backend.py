# SPDX-License-Identifier: Apache-2.0
"""`torch.compile(module, backend="kernelwright")`: each graph that Dynamo captures goes through `kernelwright optimize`
as a module of its own, on its first call. What is not supported runs as it is.

options: {"budget": "2m", "threads": N, "seed": N, "quiet": False}; budget otherwise $KERNELWRIGHT_BUDGET or the program's
default. An artifact made earlier for the same graph on the same machine is used at once.
"""

import copy
import hashlib
import os
import platform
import shutil
import threading
import warnings
from pathlib import Path

import torch

import kernelwright
from kernelwright.errors import KernelwrightError, last_line

_OPTIONS = frozenset(("budget", "threads", "seed", "quiet"))
_said = set()
_lock = threading.RLock()


def backend(graph, example_inputs, *, options=None, mode=None):
    """What Dynamo calls with a graph; gives a callable of the same form."""
    unknown = set(options or {}) - _OPTIONS
    if unknown:
        raise ValueError(f"backend kernelwright: unknown option '{sorted(unknown)[0]}', known: {sorted(_OPTIONS)}")
    if mode not in (None, "default"):
        raise ValueError("backend kernelwright has no modes: use options, such as {'budget': '2m'}")
    return CompiledGraph(graph, example_inputs, dict(options or {}))


def _say_once(text):
    if text not in _said:
        _said.add(text)
        warnings.warn(f"torch.compile(backend='kernelwright'): {text}", stacklevel=3)


class _Captured(torch.nn.Module):
    """A Dynamo graph with its parameters and buffers held as such, not as arguments."""

    def __init__(self, graph, held):
        super().__init__()
        self.graph = graph
        self.names = {}  # argument -> name
        for position, tensor in held.items():
            self.names[position] = name = f"held{position}"
            if isinstance(tensor, torch.nn.Parameter):
                self.register_parameter(name, tensor)
            else:
                self.register_buffer(name, tensor)
        self.count = sum(n.op == "placeholder" for n in graph.graph.nodes)
        self.training = False

    def forward(self, *given):
        rest = iter(given)
        return self.graph(*[getattr(self, self.names[i]) if i in self.names else next(rest) for i in range(self.count)])

    def hold(self, arguments):
        """Takes over parameters that the user's module has replaced; what is left are the inputs."""
        for position, name in self.names.items():
            tensor, store = arguments[position], self._parameters
            if name in self._buffers:
                store = self._buffers
            if store[name] is not tensor:
                store[name] = tensor
        return [a for i, a in enumerate(arguments) if i not in self.names]


class CompiledGraph:
    def __init__(self, graph, example_inputs, options):
        self._graph, self._options = graph, options
        self._held = [i for i, n in enumerate(_placeholders(graph)) if _is_state(n, example_inputs, i)]
        self._module = None  # _Captured with programs; None: the graph as it is
        self._ready = False

    def __call__(self, *arguments):
        if not self._ready:
            with _lock:
                if not self._ready:
                    self._module = self._make(arguments)
                    self._ready = True
        module = self._module
        if module is None:
            return self._graph(*arguments)
        if torch.is_grad_enabled() and any(isinstance(a, torch.Tensor) and a.requires_grad for a in arguments):
            _say_once("a call that needs gradients runs in eager")
            return self._graph(*arguments)
        return module(*module.hold(arguments))

    def _make(self, arguments):
        reason = self._unsupported(arguments)
        if reason:
            _say_once(reason)
            return None
        held = {i: arguments[i] for i in self._held}
        captured = _Captured(self._graph, {i: _plain(t) for i, t in held.items()})
        inputs = [a.detach() for i, a in enumerate(arguments) if i not in held]
        try:
            return self._optimized(captured, inputs)
        except KernelwrightError as error:
            _say_once(f"a graph stays in eager: {error}")
        except Exception as error:  # never the user's failure
            _say_once(f"a graph stays in eager: {last_line(error)}")
        return None

    def _unsupported(self, arguments):
        """Why a graph is not worth a try, or None."""
        if not any(n.op in ("call_function", "call_method", "call_module") for n in self._graph.graph.nodes):
            return "a graph without operations stays in eager"
        if any(not isinstance(a, torch.Tensor) for a in arguments):
            return "a graph with sizes that vary stays in eager: use torch.compile(..., dynamic=False)"
        if torch.is_grad_enabled() and any(a.requires_grad for a in arguments):
            return "a call that needs gradients runs in eager"
        kinds = {a.device.type for a in arguments}
        if len(kinds) != 1 or not kinds <= {"cpu", "cuda"}:
            return f"a graph on devices {', '.join(sorted(kinds))} stays in eager"
        return None

    def _optimized(self, captured, inputs):
        from kernelwright import dropin, optimizing

        device = next(iter([*inputs, *captured.parameters(), *captured.buffers()])).device
        policy = _policy(device)
        target = "cpu" if device.type == "cpu" else f"cuda:{device.index}"
        place = cache_folder() / _key(captured, inputs, policy, device)
        if (place / "result.json").is_file():
            made = dropin.attach(copy.copy(captured), place)
        else:
            threads = self._options.get("threads", torch.get_num_threads() if device.type == "cpu" else None)
            made = optimizing.optimize(
                captured,
                tuple(inputs),
                target=target,
                policy=policy,
                budget=self._options.get("budget", os.environ.get("KERNELWRIGHT_BUDGET") or None),
                threads=threads,
                seed=self._options.get("seed"),
                quiet=self._options.get("quiet", True),
                out=place,
                resume=True,  # what the archive knows of this graph is not judged again
            )
        return made if "_kernelwright" in made.__dict__ or _has_parts(made) else None


def _has_parts(module) -> bool:
    return any("_kernelwright" in inner.__dict__ for inner in module.modules())


def _placeholders(graph):
    return [n for n in graph.graph.nodes if n.op == "placeholder"]


def _is_state(node, example_inputs, position) -> bool:
    """Whether an argument is a parameter or a buffer of the user's module."""
    example = example_inputs[position] if position < len(example_inputs) else None
    if isinstance(example, torch.nn.Parameter):
        return True
    argument = node.meta.get("grapharg")
    source = getattr(argument, "source", None) or getattr(node, "_dynamo_source", None)
    name = getattr(source, "name", "")
    name = name() if callable(name) else name
    return isinstance(example, torch.Tensor) and ("_buffers" in name or "_parameters" in name)


def _plain(tensor):
    return tensor if isinstance(tensor, torch.nn.Parameter) else tensor.detach()


def _policy(device) -> str:
    if torch.is_autocast_enabled(device.type):
        return "bf16" if torch.get_autocast_dtype(device.type) is torch.bfloat16 else "fp16"
    floats = torch.get_float32_matmul_precision()
    return "tf32" if device.type == "cuda" and floats in ("high", "medium") else "strict"


def cache_folder() -> Path:
    """Where artifacts of captured graphs stay."""
    named = os.environ.get("KERNELWRIGHT_CACHE_DIR")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kernelwright"
    folder = base / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key(captured, inputs, policy, device) -> str:
    """Names a graph on this machine: what it computes, on what, by whose hand; not what the weights hold."""
    parts = [captured.graph.code, policy, torch.__version__, kernelwright.__version__, platform.machine()]
    parts += [f"{t.dtype}{list(t.shape)}{list(t.stride())}" for t in inputs]
    parts += [f"{name}{t.dtype}{list(t.shape)}" for name, t in captured.state_dict().items()]
    parts += [str(captured.names), str(torch.get_num_threads() if device.type == "cpu" else "")]
    parts.append(torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _cpu_name() -> str:
    from kernelwright import native

    return native.cpu_features()


def forget() -> None:
    """Removes all artifacts of captured graphs."""
    shutil.rmtree(cache_folder(), ignore_errors=True)
