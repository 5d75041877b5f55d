# SPDX-License-Identifier: Apache-2.0
"""Draws: inputs (and weights) of a call with what is known of the right answer (docs/numerics.md)."""

import torch

from kernelwright import oracle as oracles
from kernelwright import policy as policies
from kernelwright.channel import Packer
from kernelwright.errors import InputError

KINDS = ("own", "negative", "wide", "zeros", "constant", "weights", "exact")
EXACT_LIMIT = {torch.float64: 2.0**53, torch.float32: 2.0**24, torch.float16: 2.0**11, torch.bfloat16: 2.0**8}
WIDE = 8  # exponents -WIDE .. WIDE


class Skip(Exception):
    """This kind of draw makes no sense here; says why."""


def domain_of(samples) -> str:
    """What an input may hold, as far as two samples of the workload's own generator tell.

    fixed: integers, booleans, and floats that hold whole numbers (labels, masks); simplex: rows that sum to
    one; unit: [0, 1]; positive: nothing below zero; free: anything.
    """
    if not samples[0].is_floating_point():
        return "fixed"
    flat = torch.cat([s.reshape(-1)[: 1 << 20] for s in samples]).float()
    if not flat.numel() or not bool(torch.isfinite(flat).all()):
        return "fixed"
    if bool((flat == flat.round()).all()):
        # Whole numbers of one value only (ones, zeros) say nothing about the domain.
        return "fixed" if bool((flat != flat[0]).any()) else "free"
    low, high = float(flat.min()), float(flat.max())
    if low < 0:
        return "free"
    if high > 1:
        return "positive"
    for sample in samples:
        if sample.dim() and sample.shape[-1] > 1:
            sums = sample.double().sum(-1)
            if bool(((sums - 1).abs() < 1e-3 + 1e-2 * (sample.element_size() < 4)).all()):
                return "simplex"
    return "unit"


def _generator(seed):
    return torch.Generator().manual_seed((seed ^ 0x9E3779B97F4A7C15) & (2**63 - 1))


def _integers(like, low, high, generator):
    return torch.empty(like.shape, dtype=torch.float32).random_(low, high + 1, generator=generator).to(like.dtype)


def _one_hot_rows(like, generator):
    index = torch.randint(like.shape[-1], like.shape[:-1], generator=generator)
    return torch.zeros_like(like).scatter_(-1, index.unsqueeze(-1), 1.0)


def stress_input(kind, own, domain, generator, factor=1):
    """One input of a stress draw, or None when it has to stay as it is. May reuse `own`'s memory."""
    if domain == "fixed":
        return None
    if domain == "simplex":
        if kind == "constant":
            return own.fill_(1.0 / own.shape[-1])
        return _one_hot_rows(own, generator) if kind == "exact" else None
    if kind == "negative":
        return own.abs_().neg_()
    if kind == "wide":
        low, high = (-2 * WIDE, 0) if domain == "unit" else (-WIDE, WIDE)
        exponents = torch.empty(own.shape, dtype=torch.int32).random_(low, high + 1, generator=generator)
        return torch.ldexp(own, exponents).to(own.dtype)
    if kind == "zeros":
        return own.zero_()
    if kind == "constant":
        position = int(torch.randint(max(1, own.numel()), (1,), generator=generator))
        return own.fill_(float(own.reshape(-1)[position])) if own.numel() else None
    if kind == "exact":
        low, high = {"unit": (0, 1), "positive": (0, 4), "free": (-4, 4)}[domain]
        made = _integers(own, low, high, generator)
        return made.mul_(factor) if domain != "unit" else made
    return None


def redrawn_weights(subject, generator, exact=False) -> dict:
    """New parameters of the old spread; buffers, constants, and elements that are not finite stay."""
    out = dict(subject.weights)
    for name in subject.parameters:
        old = out[name]
        finite = torch.isfinite(old)
        if not old.is_floating_point() or not finite.any():
            continue
        if finite.all():
            out[name] = _redrawn(old, old, generator, exact)
        else:
            out[name] = torch.where(finite, _redrawn(old, old[finite], generator, exact), old)
    return out


def _redrawn(old, values, generator, exact):
    lowest = float(values.min())
    if exact:
        return _integers(old, 0 if lowest >= 0 else -2, 2, generator)
    mean, spread = float(values.double().mean()), float(values.double().std(correction=0))
    if spread <= 1e-6 * abs(mean) or spread == 0:
        spread = 0.25 * abs(mean) or 0.25
    new = torch.empty(old.shape, dtype=torch.float32).normal_(mean, spread, generator=generator)
    return (new.abs_() if lowest >= 0 and mean > 0 else new).to(old.dtype)


class Drawer:
    """Makes the draws of one subject."""

    def __init__(self, subject):
        self.subject = subject
        self._domains = None
        self.rotation = []  # contents of the latest own draws, for timing

    def domains(self) -> list:
        if self._domains is None:
            a, b = self.subject.own_inputs(1), self.subject.own_inputs(2)
            self._domains = [domain_of(pair) for pair in zip(a, b, strict=True)]
        return self._domains

    def contents(self, count=4) -> list:
        """Inputs for timed calls."""
        while len(self.rotation) < count:
            self._remember(self.subject.own_inputs(7001 + len(self.rotation)))
        return self.rotation[-count:]

    def _remember(self, inputs):
        self.rotation = [*self.rotation[-3:], inputs]

    def draw(self, kind, seed) -> tuple[dict, list]:
        """(the protocol's draw object, [fd of given, fd of expected]). Raises Skip."""
        if kind not in KINDS:
            raise InputError(f"unknown kind of draw '{kind}'")
        if kind == "exact":
            inputs, weights, verified = self._exact(seed)
        else:
            inputs, weights, verified = self._stress(kind, seed)
        return self._pack(kind, seed, inputs, weights, verified)

    def _stress(self, kind, seed):
        generator = _generator(seed)
        inputs = [t.clone() if t._base is not None or t.is_inference() else t for t in self.subject.own_inputs(seed)]
        weights = dict(self.subject.weights)
        outside = False
        if kind == "own":
            self._remember([t.clone() for t in inputs])
        elif kind == "weights":
            if not self.subject.parameters:
                raise Skip("it has no weights")
            weights = redrawn_weights(self.subject, generator)
        else:
            changed = 0
            for i, domain in enumerate(self.domains()):
                made = stress_input(kind, inputs[i], domain, generator)
                if made is not None:
                    inputs[i] = made
                    changed += 1
                    outside |= kind == "negative" and domain in ("unit", "positive")
            if not changed:
                raise Skip("integer, index and probability inputs keep their domain")
        try:
            eager = self.subject.eager(inputs, weights)
        except InputError as error:
            if kind == "own":
                raise
            raise Skip(f"the module refuses it: {error.message}") from error
        if kind != "own":
            self._finite_enough(eager, outside)
        return inputs, weights, self._judge(inputs, weights, eager, seed)

    @staticmethod
    def _finite_enough(eager, outside):
        for tensor in eager:
            if tensor.is_floating_point() and tensor.numel():
                bad = 1.0 - float(torch.isfinite(tensor).double().mean())
                if bad > 0.5 or (outside and bad):
                    raise Skip("outside the inputs' domain" if outside else "the answer is mostly not finite")

    def _exact(self, seed):
        kept = self.subject.own_inputs(seed)
        floats = [t.dtype for t in [*kept, *self.subject.weights.values()] if t.dtype in EXACT_LIMIT]
        if self.subject.policy in ("bf16", "fp16"):
            floats.append(torch.bfloat16 if self.subject.policy == "bf16" else torch.float16)
        limit = min((EXACT_LIMIT[d] for d in floats), default=2.0**53)
        if not floats:
            raise Skip("it holds no floating-point numbers")
        for factor in (1, 64):  # 64: sums that are divided by a power of two
            generator = _generator(seed)
            inputs = []
            for own, domain in zip(kept, self.domains(), strict=True):
                made = stress_input("exact", own.clone(), domain, generator, factor)
                inputs.append(own if made is None else made)
            weights = redrawn_weights(self.subject, generator, exact=True)
            try:
                eager = self.subject.eager(inputs, weights)
                verified = self._judge(inputs, weights, eager, seed, limit)
            except oracles.NotExact:
                continue
            except InputError as error:
                raise Skip(f"the module refuses it: {error.message}") from error
            for answer in verified.answers:
                if answer.eager.is_floating_point() and answer.eager.numel():
                    gap = (answer.eager.double() - answer.oracle).abs().max()
                    if not float(gap) < 0.25:
                        raise Skip("eager itself is not exact on it")
            return inputs, weights, verified
        raise Skip("its results are not integers on integer inputs")

    def _judge(self, inputs, weights, eager, seed, exact_limit=0.0):
        unit = policies.unit(self.subject.policy, [*inputs, *self.subject.weights.values()])
        self.subject.ready_precise()
        try:
            return oracles.judge(
                self.subject.precise, eager, inputs, self.subject.all_weights(weights), unit, seed, exact_limit
            )
        except oracles.RandomOp as error:
            raise Skip(f"it draws random numbers ({error})") from error

    def _pack(self, kind, seed, inputs, weights, verified):
        given, expected = Packer(), Packer()
        answers = []
        outputs = len(verified.answers) - len(self.subject.states)
        for i, answer in enumerate(verified.answers):
            key = {"index": i} if i < outputs else {"name": self.subject.states[i - outputs]}
            answers.append(
                {
                    **key,
                    "eager": expected.add(answer.eager),
                    "oracle": expected.add(answer.oracle),
                    "scale": expected.add(answer.scale),
                    "mask": expected.add(answer.mask),
                    "exact_bits": answer.exact_bits,
                    "index_output": answer.index_output,
                }
            )
        before = self.subject.all_weights(weights)
        draw = {
            "kind": kind,
            "seed": seed,
            "exact": kind == "exact",
            "ill_conditioned": verified.ill_conditioned,
            "median_relative_noise": verified.median_relative_noise,
            "inputs": [given.add(t) for t in inputs],
            "weights": [{"name": n, **given.add(t)} for n, t in weights.items()],
            "states": [{"name": n, **given.add(before[n])} for n in self.subject.states],
            "scalars": [],
            "answers": answers,
            "given_bytes": given.size,
            "expected_bytes": expected.size,
        }
        return draw, [given.write("kw-given"), expected.write("kw-expected")]
