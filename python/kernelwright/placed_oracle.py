# SPDX-License-Identifier: Apache-2.0
"""The oracle and its noise written next to eager's results in memory that the coordinator owns, piece by piece, so
that answers of gigabytes need little more than their own fp64 run (docs/torch-worker.md, "On a GPU")."""

import torch

from kernelwright import device as devices
from kernelwright import oracle as oracles

PIECE = 1 << 24  # elements at a time
HALO = oracles.SMOOTH_RADIUS
WIDE = (torch.float64, torch.int64, torch.int32, torch.uint32)


def side_dtype(dtype) -> torch.dtype:
    """Of `delta` and `scale` beside an answer of `dtype`."""
    return torch.float64 if dtype in WIDE else torch.float32


def pieces(count, size=PIECE):
    return [(begin, min(count, begin + size)) for begin in range(0, count, size)]


def finite_share(tensor) -> float:
    """Share of finite elements of a floating tensor."""
    flat = tensor.reshape(-1)
    good = sum(int(torch.isfinite(flat[b:e]).sum()) for b, e in pieces(flat.numel()))
    return good / max(1, flat.numel())


class PlacedAnswer:
    """eager, delta, scale: views of the coordinator's memory, all of the answer's shape. Until `finish`, scale holds
    the rms deviation so far (integers: 1 where a noise run gave something else)."""

    def __init__(self, eager, delta, scale):
        self.shape, self.dtype = eager.shape, eager.dtype
        self.eager, self.delta, self.scale = (t.view(-1) for t in (eager, delta, scale))
        self.float = True
        self.exact_bits = self.index_output = False
        self._runs = 0
        self._each = None  # deviation of each run, in units of its amplitude
        self._parked = False

    def take_eager(self, tensor) -> None:
        if tensor.dtype is not self.dtype or tensor.shape != self.shape:
            raise TypeError(f"{tensor.dtype}{list(tensor.shape)} where {self.dtype}{list(self.shape)} was expected")
        self.eager.view(self.shape).copy_(tensor)

    def oracle(self, begin, end) -> torch.Tensor:
        """f64, made from what is stored."""
        eager, delta = _double(self.eager[begin:end]), self.delta[begin:end].double()
        return torch.where(torch.isfinite(eager), eager + delta, delta)

    def take_oracle(self, value, branches) -> None:
        self.float = value.is_floating_point()
        flat = value.reshape(-1)
        if flat.numel() != self.eager.numel():
            raise TypeError(f"the fp64 run gave {list(value.shape)}, the module {list(self.shape)}")
        for b, e in pieces(flat.numel()):
            eager, oracle = _double(self.eager[b:e]), _double(flat[b:e])
            self.delta[b:e].copy_(torch.where(torch.isfinite(eager), oracle - eager, oracle))
        self.scale.zero_()
        if branches and self.float:
            self._each = []
            need = 4 * flat.numel() * (oracles.NOISE_RUNS + oracles.LOUD_RUNS)
            self._parked = flat.is_cuda and need > 0.2 * devices.free_bytes(flat.device)

    def add(self, output, gain) -> None:
        """One noise run whose amplitude was `gain` units."""
        flat = output.reshape(-1)
        kept = None
        if self._each is not None:
            kept = torch.empty(flat.numel(), dtype=torch.float32, device="cpu" if self._parked else flat.device)
        for b, e in pieces(flat.numel()):
            if not self.float:
                self.scale[b:e].masked_fill_(_double(flat[b:e]) != self.oracle(b, e), 1.0)
                continue
            deviation = (flat[b:e].double() - self.oracle(b, e)).abs_().clamp_(max=1e150)
            if gain == 1.0:  # the root of the sum of squares: squares leave the range of fp32
                self.scale[b:e].copy_(torch.hypot(self.scale[b:e].double(), deviation))
            if kept is not None:
                kept[b:e].copy_(deviation.div_(gain))
        if gain == 1.0:
            self._runs += 1
        if kept is not None:
            self._each.append(kept)

    def finish(self, unit, flipped) -> tuple:
        """(median relative noise, whether more than the limit had to be masked). scale is final then."""
        masked = _Masked(self.eager.numel())
        if not self.float:
            for b, e in pieces(self.scale.numel()):
                masked.add(b, self.scale[b:e] != 0, self.scale[b:e].double())
            over = masked.limit() if flipped else False
            self.scale.fill_(1.0)
            masked.write(self.scale)
            return 0.0, over
        kind = self.dtype if self.dtype in oracles.UNIT else torch.float32
        smallest = torch.finfo(kind).smallest_normal
        each = self._each if flipped else None
        self._each = None
        over = False
        if each:
            for b, e in pieces(self.scale.numel(), PIECE // 4):
                masked.add(b, *self._flips(each, b, e, unit, smallest))
            del each
            over = masked.limit()
        for b, e in pieces(self.scale.numel()):
            oracle = self.oracle(b, e)
            floor = oracle.abs().mul_(unit)
            scale = self.scale[b:e].double().div_(max(1, self._runs) ** 0.5)
            scale = torch.where(masked.within(b, e, scale.device) | ~torch.isfinite(scale), floor, scale)
            if kind is torch.float64:
                scale.mul_(4.0)  # the oracle itself rounds at this precision
            scale = torch.maximum(scale, floor).nan_to_num_(nan=1.0, posinf=1.0)
            self.scale[b:e].copy_(scale)
        relative = self._median_relative()
        self._smooth(smallest)
        masked.write(self.scale)
        return relative, over

    def _flips(self, each, b, e, unit, smallest):
        """(which elements jump too far for noise, how far)"""
        oracle = self.oracle(b, e)
        stacked = torch.stack([run[b:e].to(oracle.device).double() for run in each])
        # The third smallest of six deviations is noise even where two runs flipped.
        typical = stacked.sort(dim=0).values[2].clamp_(min=smallest).maximum(oracle.abs().mul_(unit))
        ratio = stacked.amax(dim=0).div_(typical)
        mask = (ratio > oracles.JUMP) | (torch.isnan(ratio) & torch.isfinite(oracle))
        return mask, ratio.nan_to_num_(nan=1e300)

    def _median_relative(self):
        step = max(1, self.scale.numel() // 100_000)
        eager, delta = _double(self.eager[::step]), self.delta[::step].double()
        oracle = torch.where(torch.isfinite(eager), eager + delta, delta)
        used = torch.isfinite(oracle) & (oracle != 0)
        scale = self.scale[::step].double()
        return float((scale[used] / oracle[used].abs()).median()) if bool(used.any()) else 0.0

    def _smooth(self, smallest):
        """At least the rms over the neighbours in memory order, at most SMOOTH_LIMIT times an element's own."""
        count = self.scale.numel()
        width = 2 * HALO + 1
        before = self.scale[:0].clone()  # the last values of the piece before, not smoothed yet
        mean = self.scale.double().square().mean() if 1 < count < width else None
        for b, e in pieces(count):
            own = self.scale[b:e].double()
            if mean is not None:
                rms = mean.sqrt().expand_as(own)
            elif count >= width:
                around = torch.cat([before.double(), own, self.scale[e : e + HALO].double()])
                pooled = torch.nn.functional.avg_pool1d(
                    around.square_().view(1, 1, -1), width, 1, HALO, count_include_pad=False
                )
                rms = pooled.view(-1)[before.numel() : before.numel() + own.numel()].sqrt_()
            else:
                rms = own
            before = self.scale[max(b, e - HALO) : e].clone()
            smooth = torch.maximum(own, torch.minimum(rms, own * oracles.SMOOTH_LIMIT)).clamp_(min=smallest)
            self.scale[b:e].copy_(torch.where(torch.isfinite(self.oracle(b, e)), smooth, 1.0))


class _Masked:
    """Elements that are not judged."""

    def __init__(self, count):
        self._allowed = max(1, int(count * oracles.MASK_LIMIT)) if count > 1 else 1
        self._where, self._ratio = [], []

    def add(self, begin, mask, ratio):
        where = mask.nonzero().view(-1)
        if not where.numel():
            return
        ratio = ratio[where]
        if where.numel() > self._allowed:
            ratio, best = ratio.topk(self._allowed + 1 if where.numel() > self._allowed + 1 else where.numel())
            where = where[best]
        self._where.append(where + begin)
        self._ratio.append(ratio)

    def limit(self) -> bool:
        """Keeps those that jump most; True when there were more."""
        if sum(w.numel() for w in self._where) <= self._allowed:
            return False
        best = torch.cat(self._ratio).topk(self._allowed).indices
        self._where = [torch.cat(self._where)[best]]
        return True

    def within(self, begin, end, device):
        mask = torch.zeros(end - begin, dtype=torch.bool, device=device)
        for where in self._where:
            mask[where[(where >= begin) & (where < end)] - begin] = True
        return mask

    def write(self, scale):
        for where in self._where:
            scale[where] = float("inf")


def _double(tensor):
    return tensor.to(torch.float64)


def judge(run, answers, inputs, weights, unit, seed, exact_limit=0.0):
    """As oracle.judge, into `answers` (PlacedAnswer, eager in place). Returns (ill conditioned, median relative noise).
    `inputs` are not changed."""
    call = oracles.PreciseCall(run, inputs, weights)
    mode = oracles.PreciseMode(exact_limit=exact_limit)
    raw = call(mode)
    branches = bool(mode.fingerprints)
    indices = [not t.is_floating_point() and oracles._is_index(t, mode) for t in raw]
    fingerprints, rounds = mode.fingerprints, mode.rounds
    mode.index_ids.clear()
    raw.reverse()
    for answer, index in zip(answers, indices, strict=True):
        value = raw.pop()  # freed when stored
        answer.take_oracle(value, branches and not exact_limit)
        integer = not torch.empty(0, dtype=answer.dtype).is_floating_point()
        answer.index_output = index
        answer.exact_bits = (integer and not index) or (not rounds and not integer)
        del value
    flipped = False
    if not exact_limit:
        for number, amplitude in enumerate(oracles.amplitudes(unit, branches)):
            jitter = oracles.Jitter(seed * 131 + number, inputs[0].device if inputs else answers[0].eager.device)
            noisy = oracles.PreciseMode(amplitude, jitter)
            outputs = call(noisy, jitter, amplitude)
            flipped |= noisy.fingerprints != fingerprints
            noisy.index_ids.clear()
            outputs.reverse()
            for answer in answers:
                answer.add(outputs.pop(), amplitude / unit)
    medians, crowded = [0.0], False
    for answer in answers:
        relative, over = answer.finish(unit, flipped)
        medians.append(relative)
        crowded |= over
    median = max(medians)
    return crowded or median > max(oracles.ILL_CONDITIONED, 16 * unit), median
