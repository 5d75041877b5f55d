# SPDX-License-Identifier: Apache-2.0
"""The fp64 oracle and the problem's own rounding noise (docs/numerics.md)."""

import dataclasses
import math
import zlib

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from kernelwright.policy import UNIT

LOW = (torch.float32, torch.float16, torch.bfloat16)
NOISE_RUNS = 4
LOUD_RUNS = 2  # only where something branches: finds flips just beyond the noise
LOUD = 16.0
JUMP = 48.0  # a deviation this many times the local noise is a branch that flipped
MASK_LIMIT = 0.01
SMOOTH_RADIUS = 8
SMOOTH_LIMIT = 16.0
ILL_CONDITIONED = 1e-2
CHUNK = 1 << 20
DEVICE_CHUNK = 1 << 23  # launches cost more than a loop's turn

# Ops that only move elements: no rounding, so no noise. Views are recognized by their schema.
MOVES = frozenset(
    """
    clone copy_ copy _to_copy to contiguous cat stack index index_select gather embedding constant_pad_nd pad
    select_copy slice_copy permute_copy transpose_copy view_copy expand_copy unbind_copy split_copy
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
    roll flip repeat tile where masked_fill masked_fill_ fill_ fill zero_ zeros zeros_like ones ones_like full
    full_like empty empty_like empty_strided new_zeros new_ones new_full new_empty new_empty_strided
    _reshape_alias _unsafe_view reshape scatter scatter_ slice_scatter select_scatter index_put index_put_
    index_fill tril triu masked_select sort topk arange lift_fresh_copy lift_fresh detach_copy alias_copy
    pixel_shuffle pixel_unshuffle channel_shuffle take take_along_dim diagonal_copy im2col convert_element_type
    _unsafe_index _unsafe_index_put _unsafe_masked_index unfold_copy
    eye scalar_tensor _local_scalar_dense bernoulli rand randn rand_like randn_like set_ resize_ squeeze_ unsqueeze_ t_
""".split()
)

# Ops without rounding: bit-exact in any order of evaluation.
EXACT = frozenset(
    """
    relu relu_ neg neg_ abs abs_ max min amax amin maximum minimum clamp clamp_ clamp_min clamp_max hardtanh
    max_pool2d_with_indices max_pool3d_with_indices max_pool2d max_pool1d max_pool1d_with_indices
    adaptive_max_pool2d sign floor ceil round trunc relu6 cummax cummin
    aminmax max_unpool2d argmax argmin isnan isinf kthvalue median copysign
""".split()
)

# Continuous inputs, jumping outputs: a branch as much as a comparison is.
JUMPS = frozenset(
    "floor ceil round trunc sign sgn frac remainder fmod floor_divide heaviside hardshrink threshold bucketize".split()
)

# Index results judged by the value they point at: op -> position of its index output.
INDEX_OUTPUTS = {
    "argmax": 0,
    "argmin": 0,
    "max": 1,
    "min": 1,
    "topk": 1,
    "sort": 1,
    "max_pool2d_with_indices": 1,
    "max_pool3d_with_indices": 1,
    "max_pool1d_with_indices": 1,
    "adaptive_max_pool2d": 1,
    "cummax": 1,
    "cummin": 1,
    "median": 1,
    "mode": 1,
    "kthvalue": 1,
    "argsort": 0,
}


def _gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + torch.erf(x * math.sqrt(0.5)))


def _log_softmax(x, dim, half_to_float=False):
    shifted = x - torch.amax(x, dim, keepdim=True)
    return shifted - torch.log(torch.sum(torch.exp(shifted), dim, keepdim=True))


# Single ops that cancel inside: their definition lets the noise show it.
INSIDE = {"gelu": _gelu, "_log_softmax": _log_softmax}


@dataclasses.dataclass
class _Norm:
    """A call of a norm without running statistics."""

    x: torch.Tensor  # seen so that the statistics are over whole dims
    dims: tuple
    weight: torch.Tensor | None
    bias: torch.Tensor | None
    eps: float
    weight_shape: tuple
    statistics_shape: tuple  # of what it gives beside its result

    @staticmethod
    def of(name, args):
        if name == "native_layer_norm":
            x, shape, weight, bias, eps = args[:5]
            outer = x.dim() - len(shape)
            kept = (*x.shape[:outer], *(1 for _ in shape))
            return _Norm(x, tuple(range(outer, x.dim())), weight, bias, eps, tuple(shape), kept)
        if name == "native_group_norm":
            x, weight, bias, samples, channels, points, groups, eps = args[:8]
            each = channels // groups
            seen = x.reshape(samples, groups, each, points)
            return _Norm(seen, (2, 3), weight, bias, eps, (groups, each, 1), (samples, groups))
        running = [t for t in args[3:5] if isinstance(t, torch.Tensor)]
        if name in ("native_batch_norm", "_native_batch_norm_legit") and not running:
            x = args[0]
            dims = tuple(d for d in range(x.dim()) if d != 1)
            return _Norm(x, dims, *args[1:3], args[-1], (-1, *(1 for _ in dims[1:])), (x.shape[1],))
        return None


class NotExact(Exception):
    """Some intermediate is not an integer, or too large for one."""


class RandomOp(Exception):
    """The call draws random numbers: nothing to compare with."""


def _op_name(func) -> str:
    return func._schema.name.rpartition("::")[2]


def _is_view(func) -> bool:
    return any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)


class Jitter:
    """Factors 1 + amplitude * r out of a pool with random starts: one multiplication per element. r is spread evenly
    with an rms of one; with r = ±1 two errors in a row would cancel exactly half of the time."""

    def __init__(self, seed: int, device="cpu"):
        generator = torch.Generator().manual_seed(seed & (2**63 - 1))
        self._generator = generator
        self._chunk = CHUNK if torch.device(device).type == "cpu" else DEVICE_CHUNK
        edge = math.sqrt(3.0)
        pool = torch.empty(CHUNK + 65_537, dtype=torch.float32).uniform_(-edge, edge, generator=generator)
        self._pool = pool.to(device).repeat(-(-self._chunk // CHUNK))
        self._scaled = {}

    def perturb_(self, tensor: torch.Tensor, amplitude: float) -> None:
        pool = self._scaled.get(amplitude)
        if pool is None:
            pool = self._scaled[amplitude] = self._pool.double().mul_(amplitude).add_(1.0)
        if tensor.is_contiguous():
            flat = tensor.view(-1)
            for begin in range(0, flat.numel(), self._chunk):
                part = flat[begin : begin + self._chunk]
                start = int(torch.randint(65_537, (1,), generator=self._generator))
                part.mul_(pool[start : start + part.numel()])
        elif tensor.numel():
            factor = torch.ones(tensor.shape, dtype=torch.float64, device=tensor.device)
            self.perturb_(factor, amplitude)
            tensor.mul_(factor)


class PreciseMode(TorchDispatchMode):
    """Runs every op in fp64. With `amplitude`, multiplies what ops return by 1 ± amplitude.

    Collects what the draw must know: whether anything rounds, fingerprints of everything that decides a
    branch, and (for `exact_limit`) that every intermediate is an integer below the limit.
    """

    def __init__(self, amplitude: float = 0.0, jitter: Jitter | None = None, exact_limit: float = 0.0):
        super().__init__()
        self.amplitude = amplitude
        self.jitter = jitter
        self.exact_limit = exact_limit
        self.rounds = False
        self.fingerprints = []
        self.index_ids = {}  # id of an index result -> the result, kept alive
        self._gain = amplitude / UNIT[torch.float32]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = _op_name(func)
        if torch.Tag.nondeterministic_seeded in func.tags and not self._deterministic(name, args, kwargs):
            raise RandomOp(name)
        wanted = []  # narrow dtypes that the call asked for
        mutable = func._schema.is_mutable

        def widen(value):
            if isinstance(value, torch.Tensor):
                return value.double() if value.dtype in LOW and not mutable else value
            if isinstance(value, torch.dtype) and value in LOW:
                wanted.append(value)
                return torch.float64
            return value

        args, kwargs = pytree.tree_map(widen, (args, kwargs))
        if name in ("_softmax", "_log_softmax") and len(args) > 2 and args[2]:
            args = (*args[:2], False)  # "half to float" has no fp64 form
        if self.amplitude and name in INSIDE:
            with self:  # every step of it gets its noise
                return INSIDE[name](*args, **kwargs)
        if self.amplitude and (norm := _Norm.of(name, args)):
            return self._norm(norm, args[0].shape)
        result = func(*args, **kwargs)
        if _is_view(func):
            return result
        leaves, spec = pytree.tree_flatten(result)
        if not mutable and any(isinstance(t, torch.Tensor) and t.dtype in LOW for t in leaves):
            leaves = [t.double() if isinstance(t, torch.Tensor) and t.dtype in LOW else t for t in leaves]
            result = pytree.tree_unflatten(leaves, spec)
        self._observe(name, [t for t in leaves if isinstance(t, torch.Tensor)], wanted)
        return result

    def _norm(self, norm, shape):
        """Mean and deviation are rounded once for all elements that share them, as what `norm` gives is."""
        variance, mean = torch.var_mean(norm.x, norm.dims, correction=0, keepdim=True)
        scale = variance.add_(norm.eps).rsqrt_()
        self.jitter.perturb_(mean, self.amplitude)
        self.jitter.perturb_(scale, self.amplitude)
        result = (norm.x - mean).mul_(scale)
        if norm.weight is not None:
            result.mul_(norm.weight.reshape(norm.weight_shape))
        if norm.bias is not None:
            result.add_(norm.bias.reshape(norm.weight_shape))
        self.rounds = True
        self.jitter.perturb_(result, self.amplitude)
        return result.reshape(shape), mean.reshape(norm.statistics_shape), scale.reshape(norm.statistics_shape)

    @staticmethod
    def _deterministic(name, args, kwargs):
        """Dropout and attention carry the tag of random ops also where they are told to draw nothing."""
        if name in ("native_dropout", "dropout"):
            return len(args) > 2 and args[2] is False or (len(args) > 1 and args[1] == 0)
        if "attention" in name:
            values = [v for v in [*args, *kwargs.values()] if isinstance(v, float)]
            return not any(v > 0 for v in values[:1])
        if name == "_cudnn_rnn":
            return len(args) > 12 and (not args[11] or not args[12])  # dropout, train
        return name in ("lstm", "gru", "rnn_tanh", "rnn_relu", "rrelu_with_noise")

    def _observe(self, name, tensors, wanted):
        narrow = max((UNIT[d] for d in wanted), default=0.0)
        for position, tensor in enumerate(tensors):
            if not tensor.is_floating_point():
                if tensor.is_complex():
                    self.rounds = True
                    continue
                if INDEX_OUTPUTS.get(name) == position:
                    self.index_ids[id(tensor)] = tensor
                self.fingerprints.append(_fingerprint(tensor))
                continue
            if name in JUMPS:
                self.fingerprints.append(_fingerprint(tensor))
            if self.exact_limit:
                _require_integers(tensor, self.exact_limit)
            moves = name in MOVES
            if not moves and name not in EXACT:
                self.rounds = True
            if moves and narrow > UNIT[torch.float32]:  # a cast that rounds
                self.rounds = True
                if self.amplitude:
                    self.jitter.perturb_(tensor, max(self.amplitude, narrow * max(1.0, self._gain)))
            elif not moves and name not in JUMPS and self.amplitude:
                self.jitter.perturb_(tensor, self.amplitude)


def _fingerprint(tensor):
    """Something that differs when the content does."""
    tensor = tensor.detach().contiguous()
    if tensor.device.type != "cpu":
        return _device_fingerprint(tensor.view(-1))
    return zlib.crc32(tensor.view(-1).view(torch.uint8).numpy()) if tensor.numel() else 0


def _device_fingerprint(flat):
    """Sums of the elements' bits times odd weights, modulo 2^64; on the device, a number per piece."""
    if flat.dtype is torch.bool:
        flat = flat.view(torch.uint8)
    elif flat.is_floating_point():
        flat = flat.view({8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.uint8}[flat.element_size()])
    sums, weights = [], None
    for begin in range(0, flat.numel(), DEVICE_CHUNK):
        part = flat[begin : begin + DEVICE_CHUNK].to(torch.int64)
        if weights is None:
            weights = torch.arange(part.numel(), device=flat.device).mul_(0x9E3779B97F4A7C1).bitwise_or_(1)
        sums.append((part * weights[: part.numel()]).sum())
    return tuple(torch.stack(sums).tolist()) if sums else ()


def _require_integers(tensor, limit):
    flat = tensor.detach().reshape(-1)
    chunk = CHUNK if tensor.device.type == "cpu" else DEVICE_CHUNK
    for begin in range(0, flat.numel(), chunk):
        part = flat[begin : begin + chunk]
        if not bool((part == part.round()).all()) or float(part.abs().max()) >= limit:
            raise NotExact


@dataclasses.dataclass
class Judged:
    """What is known of one answer. All four tensors have the answer's shape."""

    eager: torch.Tensor
    oracle: torch.Tensor  # f64
    scale: torch.Tensor  # f64
    mask: torch.Tensor  # u8
    exact_bits: bool = False
    index_output: bool = False


@dataclasses.dataclass
class Verified:
    answers: list
    median_relative_noise: float
    ill_conditioned: bool
    rounds: bool


class PreciseCall:
    """run(inputs, weights) -> list of tensors, called with fp64 copies that it may keep; `weights` maps names to
    tensors. Each call of this object is one run under a PreciseMode."""

    def __init__(self, run, inputs, weights):
        self._run, self._inputs, self._weights = run, inputs, weights

    def __call__(self, mode, jitter=None, amplitude=0.0) -> list:
        own = self._widened(self._inputs, jitter, amplitude)
        named = dict(zip(self._weights, self._widened(self._weights.values(), jitter, amplitude), strict=True))
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with torch.no_grad(), mode:
                return [t.detach() for t in self._run(own, named)]
        finally:
            torch.set_default_dtype(default)

    @staticmethod
    def _widened(tensors, jitter, amplitude):
        out = []
        for tensor in tensors:
            copy = tensor.detach()
            if copy.is_floating_point():
                copy = copy.to(torch.float64, copy=True, memory_format=torch.contiguous_format)
                if amplitude:
                    jitter.perturb_(copy, amplitude)
            else:
                copy = copy.clone()
            out.append(copy)
        return out


def amplitudes(unit, branches) -> list:
    """Of the noise runs, in order."""
    return [unit] * NOISE_RUNS + ([unit * LOUD] * LOUD_RUNS if branches else [])


def judge(run, eager, inputs, weights, unit, seed, exact_limit=0.0):
    """Oracle, scale and mask of one draw. run: see PreciseCall. eager: what the module gave, in the order of `run`.
    Raises NotExact (with exact_limit) and RandomOp."""
    call = PreciseCall(run, inputs, weights)
    mode = PreciseMode(exact_limit=exact_limit)
    raw = call(mode)
    indices = [not t.is_floating_point() and _is_index(t, mode) for t in raw]
    oracle = [t if t.is_floating_point() else t.clone() for t in raw]
    branches = bool(mode.fingerprints)
    noise = [_Noise(t, branches) for t in oracle]
    flipped = False
    if not exact_limit:
        for number, amplitude in enumerate(amplitudes(unit, branches)):
            jitter = Jitter(seed * 131 + number)
            noisy = PreciseMode(amplitude, jitter)
            outputs = call(noisy, jitter, amplitude)
            flipped |= noisy.fingerprints != mode.fingerprints
            for state, output in zip(noise, outputs, strict=True):
                state.add(output, amplitude / unit)
            del outputs
    answers, medians, crowded = [], [0.0], False
    for value, state, index, given in zip(oracle, noise, indices, eager, strict=True):
        scale, mask, relative, over = state.finish(unit, given.dtype, flipped)
        crowded |= over
        medians.append(relative)
        exact_bits = not given.is_floating_point() and not index or not mode.rounds and given.is_floating_point()
        answers.append(Judged(given, value.to(torch.float64), scale, mask, exact_bits, index))
    median = max(medians)
    return Verified(answers, median, crowded or median > max(ILL_CONDITIONED, 16 * unit), mode.rounds)


def _is_index(tensor, mode) -> bool:
    """An argmax or top-k result, also when it went through a view."""
    where = tensor.untyped_storage().data_ptr()
    return any(t.untyped_storage().data_ptr() == where for t in mode.index_ids.values())


class _Noise:
    """Deviations of the noise runs of one answer from the oracle."""

    def __init__(self, oracle, branches):
        self.oracle = oracle
        self.float = oracle.is_floating_point()
        self.squares = torch.zeros(oracle.shape, dtype=torch.float64) if self.float else None
        self.changed = None if self.float else torch.zeros(oracle.shape, dtype=torch.bool)
        self.runs = 0
        self.each = [] if branches and self.float else None

    def add(self, output, gain):
        if not self.float:
            self.changed |= output != self.oracle
            return
        deviation = torch.sub(output, self.oracle).abs_().clamp_(max=1e150)
        if gain == 1.0:
            self.runs += 1
            self.squares.addcmul_(deviation, deviation)
        if self.each is not None:
            self.each.append(deviation.div_(gain))

    def finish(self, unit, dtype, flipped):
        """(scale, mask, median relative noise, whether more than the limit had to be masked)."""
        shape = self.oracle.shape
        if not self.float:
            mask, over = _limited(self.changed, self.changed.double()) if flipped else (self.changed, False)
            return torch.ones(shape, dtype=torch.float64), mask.to(torch.uint8), 0.0, over
        floor = self.oracle.abs().mul_(unit)
        smallest = torch.finfo(dtype if dtype in UNIT else torch.float32).smallest_normal
        finite = torch.isfinite(self.oracle)
        scale = self.squares.div_(max(1, self.runs)).sqrt_()
        mask = torch.zeros(shape, dtype=torch.bool)
        over = False
        if self.each and flipped:
            stacked = torch.stack(self.each)
            # The third smallest of six deviations is noise even where two runs flipped.
            typical = stacked.kthvalue(3, dim=0).values.clamp_(min=smallest).maximum(floor)
            ratio = stacked.amax(dim=0).div_(typical)
            mask = (ratio > JUMP) | (torch.isnan(ratio) & finite)
            mask, over = _limited(mask, ratio.nan_to_num_(nan=1e300))
        self.each = None
        scale = torch.where(mask | ~torch.isfinite(scale), floor, scale)
        if dtype is torch.float64:
            scale.mul_(4.0)  # the oracle itself rounds at this precision
        scale = torch.maximum(scale, floor)
        scale.nan_to_num_(nan=1.0, posinf=1.0)
        relative = _median_relative(scale, self.oracle, finite)
        scale = torch.maximum(scale, _smoothed(scale))
        scale.clamp_(min=smallest)
        scale[~finite] = 1.0
        return scale, mask.to(torch.uint8), relative, over


def _smoothed(scale):
    """Rms over the neighbours in memory order, at most SMOOTH_LIMIT times an element's own."""
    if scale.numel() < 2:
        return scale
    width = 2 * SMOOTH_RADIUS + 1
    square = scale.reshape(1, 1, -1).square()
    if square.numel() < width:
        mean = square.mean().expand_as(square)
    else:
        mean = torch.nn.functional.avg_pool1d(square, width, 1, SMOOTH_RADIUS, count_include_pad=False)
    return torch.minimum(mean.sqrt().reshape(scale.shape), scale * SMOOTH_LIMIT)


def _median_relative(scale, oracle, finite):
    step = max(1, scale.numel() // 100_000)
    scale, oracle, finite = (t.reshape(-1)[::step] for t in (scale, oracle, finite))
    used = finite & (oracle != 0)
    return float((scale[used] / oracle[used].abs()).median()) if bool(used.any()) else 0.0


def _limited(mask, ratio):
    """At most MASK_LIMIT of the elements, those that jump most; and whether there were more."""
    allowed = max(1, int(mask.numel() * MASK_LIMIT)) if mask.numel() > 1 else 1
    if int(mask.sum()) <= allowed:
        return mask, False
    kept = torch.zeros(mask.numel(), dtype=torch.bool)
    order = torch.where(mask, ratio, torch.zeros_like(ratio)).reshape(-1).topk(allowed).indices
    kept[order] = True
    return kept.reshape(mask.shape), True
