# SPDX-License-Identifier: Apache-2.0
"""What the user hands over: a module, how to build it, example inputs."""

import copy
import importlib
import importlib.util
import inspect
import json
import random
import re
import sys
from pathlib import Path

from kernelwright.errors import EnvironmentError_, InputError, last_line, user_error

try:
    import torch
except ImportError as error:
    raise EnvironmentError_("PyTorch is not installed for this Python", python=sys.executable) from error

from kernelwright import device as devices
from kernelwright.input_spec import file_inputs, parse_inputs

OLDEST_TORCH = (2, 11)
POLICIES = ("strict", "tf32", "bf16", "fp16")
WEIGHT_SEED = 20240517  # two loads of a workload give equal weights


def require_torch(version=None):
    """Refuses a PyTorch older than OLDEST_TORCH in one line."""
    version = str(version or torch.__version__)
    match = re.match(r"(\d+)\.(\d+)", version)
    if not match or tuple(map(int, match.groups())) < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        raise EnvironmentError_(f"PyTorch {version} is too old: {oldest} or later is needed")


class Workload:
    """A loaded workload. `module` is pristine: whoever runs it in training mode takes `build()`."""

    def __init__(
        self, name, kind, *, source_file=None, class_name="", module_globals=None, size="cpu", policy="strict"
    ):
        self.device = torch.device("cpu")  # of module and inputs
        self.name = name
        self.kind = kind  # "file", "module" or "pt2"
        self.source_file = source_file
        self.class_name = class_name
        self.module_globals = module_globals if module_globals is not None else {}
        self.size = size
        self.drawn = {}  # constants that a size with a seed has drawn
        self.policy = policy
        self.init_args = ((), {})
        self.module = None
        self._construct = None  # () -> nn.Module
        self._inputs = None  # () -> (args, kwargs), reads the global generator
        self._stored_inputs = None  # (seed) -> (args, kwargs), for inputs that come from a file
        self._inputs_on_device = True

    def build(self):
        """A new instance with the same weights and buffers as `module`."""
        try:
            return copy.deepcopy(self.module)
        except Exception:  # a module that holds something uncopyable is built anew
            module = _seeded(WEIGHT_SEED, self._construct).to(self.device)
            module.load_state_dict(self.module.state_dict())
            return module.train(self.module.training)

    def make_inputs(self, seed):
        """(args, kwargs) of one call, a function of `seed`."""
        if self._stored_inputs is not None:
            return devices.moved(self._stored_inputs(seed), self.device)
        if self.device.type == "cpu" or not self._inputs_on_device:
            return devices.moved(_seeded(seed, self._inputs), self.device)
        try:  # where they are needed: billions of random numbers take a core many seconds
            with devices.on(self.device):
                return devices.moved(_seeded(seed, self._inputs), self.device)
        except InputError:  # a generator of the user's that only works on the CPU
            self._inputs_on_device = False
            return self.make_inputs(seed)


def load(path, init="", inputs="", size="cpu", policy="strict", check=True, device="cpu"):
    """Loads a workload from `file.py`, `file.py:Class`, `package.module:Class` or `file.pt2`.

    init: JSON, a list of arguments or {"args": [...], "kwargs": {...}}. inputs: a spec such as
    "f32[8,3,224,224],i64[4,16]<1000" or a .pt file. The weights are made on the CPU and moved to `device`, so that
    they are the same on every device. Raises InputError; with `check`, one call on example inputs has been made.
    """
    workload = open_workload(path, size, policy)
    workload.device = torch.device(device)
    if workload.kind == "pt2":
        if init:
            raise InputError("--init makes no sense for a .pt2 file")
    else:
        workload.init_args = _init_args(workload, init)
    _choose_inputs(workload, inputs)
    workload.module = _seeded(WEIGHT_SEED, workload._construct)
    if workload.device.type != "cpu":
        workload.module = workload.module.to(workload.device)
    _settle_lazy(workload)
    _check_weights(workload)
    if check:
        check_forward(workload)
    return workload


def open_workload(path, size="cpu", policy="strict"):
    """What `path` names, with nothing constructed and no inputs chosen yet."""
    require_torch()
    if policy not in POLICIES:
        raise InputError(f"unknown policy '{policy}'", known=", ".join(POLICIES))
    location, class_name = _split(str(path))
    if location.endswith(".pt2"):
        workload = _load_pt2(Path(location), size, policy)
    elif location.endswith(".py"):
        workload = _load_file(Path(location), class_name, size, policy)
    else:
        workload = _load_module(location, class_name, size, policy)
    return workload


def check_forward(workload):
    """One call on example inputs; an InputError when they do not fit."""
    args, kwargs = workload.make_inputs(0)
    _check_tensors(args, kwargs)
    module = workload.build()
    if workload.kind != "pt2":
        try:
            inspect.signature(module.forward).bind(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise InputError(f"inputs do not match {type(module).__name__}.forward: {error}") from error
    try:
        with torch.no_grad():
            results = _seeded(0, lambda: module(*args, **kwargs))
    except Exception as error:
        shapes = ", ".join(_describe(a) for a in [*args, *kwargs.values()])
        raise user_error(f"forward failed on inputs {shapes}", error, workload.source_file) from error
    for position, tensor in enumerate(torch.utils._pytree.tree_leaves(results)):
        if isinstance(tensor, torch.Tensor) and tensor.numel() == 0:
            raise InputError(f"output {position} has no elements", shape=list(tensor.shape))


def _split(path):
    if ":" in path:
        location, _, class_name = path.rpartition(":")
        if not location or not class_name:
            raise InputError(f"cannot read '{path}' as file.py:Class or package.module:Class")
        return location, class_name
    return path, ""


def _safe_name(text):
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:60] or "workload"


def _seeded(seed, function):
    with torch.random.fork_rng(devices=devices.random_devices()):
        torch.manual_seed(seed & 0xFFFFFFFFFFFFFFFF)
        return function()


def _existing(path):
    if not path.exists():
        raise InputError(f"no such file: {path}")
    if not path.is_file():
        raise InputError(f"not a file: {path}")
    return path.resolve()


def _load_file(path, class_name, size, policy):
    file = _existing(path)
    # The user's file may import its neighbours; ours and the standard library come first.
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    name = f"kernelwright_workload_{_safe_name(file.stem)}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _seeded(WEIGHT_SEED, lambda: spec.loader.exec_module(module))
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise user_error(f"cannot load {path.name}", error, file) from error
    namespace = vars(module)
    drawn = _apply_sizes(namespace, size, file)
    class_name = class_name or _default_class(namespace, name, file)
    short = file.stem if class_name == "Model" else f"{file.stem}_{class_name}"
    workload = Workload(
        _safe_name(short),
        "file",
        source_file=file,
        class_name=class_name,
        module_globals=namespace,
        size=size,
        policy=policy,
    )
    workload._construct = _constructor(workload, path.name)
    workload.drawn = drawn
    return workload


def neighbours(workload):
    """Modules that the user's file imported from its own folder, as paths relative to it: the file needs them wherever
    it goes."""
    if workload.kind != "file":
        return []
    root, found = workload.source_file.parent, set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or not name:
            continue
        for path in (Path(*name.split(".")).with_suffix(".py"), Path(*name.split("."), "__init__.py")):
            if Path(file) == root / path and root / path != workload.source_file:
                found.add(str(path))
    return sorted(found)


def _load_module(location, class_name, size, policy):
    if not class_name or "/" in location:
        if Path(location).suffix or "/" in location or Path(location).exists():
            _existing(Path(location))
            raise InputError(f"cannot read '{location}': a .py or .pt2 file is expected")
        raise InputError(f"no such file: {location}", forms="file.py, file.py:Class, package.module:Class, file.pt2")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(location)
    except ModuleNotFoundError as error:
        if error.name and (location == error.name or location.startswith(error.name + ".")):
            raise InputError(f"no Python module named {error.name}") from error
        raise user_error(f"cannot import {location}", error) from error
    except (Exception, SystemExit) as error:
        raise user_error(f"cannot import {location}", error) from error
    namespace = vars(module)
    file = Path(module.__file__).resolve() if getattr(module, "__file__", None) else None
    workload = Workload(
        _safe_name(f"{location.rpartition('.')[2]}_{class_name}"),
        "module",
        source_file=file,
        class_name=class_name,
        module_globals=namespace,
        size=size,
        policy=policy,
    )
    workload._construct = _constructor(workload, location)
    return workload


def _load_pt2(path, size, policy):
    file = _existing(path)
    try:
        program = torch.export.load(str(file))
    except Exception as error:
        raise InputError(f"cannot read {path.name} as an exported program: {last_line(error)}") from error
    workload = Workload(_safe_name(file.stem), "pt2", source_file=file, size=size, policy=policy)
    workload._construct = lambda: _exported_module(program, workload.device)
    example = program.example_inputs
    if example is not None:
        args, kwargs = example
        workload._stored_inputs = file_inputs(tuple(args), dict(kwargs))
    return workload


def _exported_module(program, device):
    """A module of its own out of an exported program, its constants and device arguments moved as well."""
    program = copy.deepcopy(program)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module()


def _default_class(namespace, module_name, file):
    if "Model" in namespace:
        return "Model"
    own = [
        n
        for n, v in namespace.items()
        if inspect.isclass(v) and issubclass(v, torch.nn.Module) and v.__module__ == module_name
    ]
    if len(own) == 1:
        return own[0]
    hint = f"; name one of {', '.join(own)} as {file.name}:{own[0]}" if own else ""
    raise InputError(f"{file.name} has no class Model{hint}")


def _constructor(workload, where):
    target = workload.module_globals
    for part in workload.class_name.split("."):
        target = target.get(part) if isinstance(target, dict) else getattr(target, part, None)
        if target is None:
            raise InputError(f"{where} has no class {workload.class_name}")
    if not callable(target) or (inspect.isclass(target) and not issubclass(target, torch.nn.Module)):
        raise InputError(f"{workload.class_name} in {where} is not an nn.Module class")

    def construct():
        args, kwargs = workload.init_args
        try:
            module = target(*args, **kwargs)
        except Exception as error:
            raise user_error(f"cannot construct {workload.class_name}", error, workload.source_file) from error
        if not isinstance(module, torch.nn.Module):
            raise InputError(f"{workload.class_name} in {where} gives a {type(module).__name__}, not an nn.Module")
        return module

    return construct


def _apply_sizes(namespace, size, file):
    """SIZES = {"cpu": {...}, "gpu": {...}} overrides the file's constants. A size with a seed, such as "cpu:7", then
    draws those that DRAWS = {"cpu": {NAME: (low, high) or (low, high, multiple), ...}} has ranges for; they are
    returned."""
    kind, colon, seed = size.partition(":")
    namespace.update(_sizes_of(namespace, "SIZES", kind, file))
    if not colon:
        return {}
    ranges = _sizes_of(namespace, "DRAWS", kind, file)
    if not ranges:
        raise InputError(f"{file.name} has no DRAWS for '{kind}': no size can be drawn", given=size)
    drawn = {name: _drawn(name, ranges[name], seed, file) for name in ranges}
    namespace.update(drawn)
    return drawn


def _sizes_of(namespace, table, kind, file):
    tables = namespace.get(table, {})
    if not isinstance(tables, dict) or not all(isinstance(v, dict) for v in tables.values()):
        raise InputError(f"{table} in {file.name} is not a dict of dicts")
    for name in tables.get(kind, {}):
        if name not in namespace:
            raise InputError(f"{table}['{kind}'] in {file.name} sets {name}, which the file does not define")
    return tables.get(kind, {})


def _drawn(name, bounds, seed, file):
    """An integer drawn evenly over octaves; the same for the same name, bounds and seed everywhere."""
    try:
        low, high, step = (*bounds, 1)[:3]
        fits = 0 < low <= high and step > 0 and not (low % step or high % step)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(f"DRAWS in {file.name}: {name} is not (low, high) or (low, high, multiple), all positive")
    value = low * (high / low) ** random.Random(f"{seed} {name}").random()
    return round(value / step) * step


def _init_args(workload, text):
    if text:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InputError(f"--init is not JSON: {error}", given=text) from error
        if isinstance(value, list):
            return tuple(value), {}
        if isinstance(value, dict) and set(value) <= {"args", "kwargs"}:
            args, kwargs = value.get("args", []), value.get("kwargs", {})
            if isinstance(args, list) and isinstance(kwargs, dict):
                return tuple(args), kwargs
        raise InputError('--init is neither a list nor {"args": [...], "kwargs": {...}}', given=text)
    function = workload.module_globals.get("get_init_inputs")
    if function is None:
        return (), {}
    try:
        value = _seeded(WEIGHT_SEED, function)
    except Exception as error:
        raise user_error("get_init_inputs failed", error, workload.source_file) from error
    if isinstance(value, dict):
        return (), dict(value)
    if not isinstance(value, (list, tuple)):
        raise InputError(f"get_init_inputs gives a {type(value).__name__}, not a list")
    if len(value) == 2 and isinstance(value[0], (list, tuple)) and isinstance(value[1], dict):
        return tuple(value[0]), dict(value[1])
    return tuple(value), {}


def _choose_inputs(workload, text):
    if text.endswith(".pt"):
        path = _existing(Path(text))
        try:
            value = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise InputError(f"cannot read {path.name}: {last_line(error)}") from error
        if isinstance(value, torch.Tensor):
            value = [value]
        if isinstance(value, dict):
            args, kwargs = (), dict(value)
        elif isinstance(value, (list, tuple)):
            args, kwargs = tuple(value), {}
        else:
            raise InputError(f"{path.name} holds a {type(value).__name__}, not tensors")
        workload._stored_inputs = file_inputs(args, kwargs)
        return
    if text:
        spec = parse_inputs(text)
        workload._stored_inputs = None
        workload._inputs = lambda: spec.draw()
        return
    if workload._stored_inputs is not None:
        return
    function = workload.module_globals.get("get_inputs")
    if function is None:
        where = workload.source_file.name if workload.source_file else workload.name
        raise InputError(f"{where} has no get_inputs and no --inputs were given")

    def draw():
        try:
            value = function()
        except Exception as error:
            raise user_error("get_inputs failed", error, workload.source_file) from error
        if isinstance(value, dict):
            return (), dict(value)
        if isinstance(value, torch.Tensor) or not isinstance(value, (list, tuple)):
            raise InputError(f"get_inputs gives a {type(value).__name__}, not a list")
        return tuple(value), {}

    workload._inputs = draw


def _settle_lazy(workload):
    """The first call gives a lazy module's weights their shapes."""
    module = workload.module
    if any(
        isinstance(p, torch.nn.parameter.UninitializedTensorMixin) for p in [*module.parameters(), *module.buffers()]
    ):
        args, kwargs = workload.make_inputs(0)
        try:
            with torch.no_grad():
                _seeded(WEIGHT_SEED, lambda: module(*args, **kwargs))
        except Exception as error:
            raise user_error("forward failed", error, workload.source_file) from error


def _check_weights(workload):
    module = workload.module
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and torch.isnan(tensor).any():
            raise InputError(f"weight {name} holds NaN")


def _check_tensors(args, kwargs):
    for position, value in [*enumerate(args), *kwargs.items()]:
        for tensor in torch.utils._pytree.tree_leaves(value):
            if isinstance(tensor, torch.Tensor) and tensor.numel() == 0:
                raise InputError(f"input {position} has no elements", shape=list(tensor.shape))


def _describe(value):
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    return type(value).__name__
