# SPDX-License-Identifier: Apache-2.0
"""Random legal calls of every op in the table. A case is draw(rng, i) -> (args, kwargs); `i` counts the draws, so that
an attribute can be sure to take each of its values. The seed sets rng, random and torch alike."""

import math
import random

import torch

CASES = {}


def case(*names):
    def add(draw):
        for name in names:
            assert name not in CASES, name
            CASES[name] = draw
        return draw

    return add


def shape(rng, low=0, high=3, most=5):
    return [rng.randint(1, most) for _ in range(rng.randint(low, high))]


def t(size, low=-3.0, high=3.0, dtype=torch.float32):
    if dtype is torch.bool:
        return torch.rand(size) < 0.5
    if not dtype.is_floating_point:
        return torch.randint(int(low), int(high) + 1, size, dtype=dtype)
    return (torch.rand(size) * (high - low) + low).to(dtype)


def part_of(rng, size):
    """A shape that broadcasts with `size`."""
    out = [s if rng.random() < 0.6 else 1 for s in size]
    return out[rng.randint(0, len(out)) :] if rng.random() < 0.4 else out


FLOATS = [torch.float32, torch.float32, torch.float16, torch.bfloat16, torch.float64]


def pick(choices, i):
    """Every choice once, then any."""
    return choices[i] if i < len(choices) else random.choice(choices)


# ---- pointwise -------------------------------------------------------------------------------------------------


def unary(*names, low=-3.0, high=3.0, dtypes=(torch.float32,), **kwargs):
    for name in names:
        CASES[name] = lambda rng, i: ((t(shape(rng), low, high, pick(dtypes, i)),), dict(kwargs))


A = "aten.{}.default".format
unary(
    *map(A, ["neg", "abs", "relu", "square", "clone", "alias", "detach", "positive", "lift_fresh_copy", "contiguous"]),
    dtypes=(torch.float32, torch.int64, torch.float16),
)
unary(A("signbit"), dtypes=(torch.float32, torch.int64))
unary(*map(A, ["sign", "sgn", "relu6", "floor", "ceil", "round", "trunc", "frac"]))
unary(
    *map(A, ["exp", "exp2", "expm1", "sin", "cos", "tanh", "sigmoid", "erf", "atan", "sinh", "cosh"]),
    dtypes=(torch.float32, torch.int64, torch.float16),
)
unary(A("tan"), low=-1.2, high=1.2)
unary(*map(A, ["log", "log2", "log10", "sqrt", "rsqrt"]), low=0.05, high=4.0, dtypes=(torch.float32, torch.float64))
unary(A("log1p"), low=-0.5, high=4.0)
unary(*map(A, ["asin", "acos", "atanh"]), low=-0.99, high=0.99, dtypes=(torch.float32, torch.float64))
unary(A("asinh"), dtypes=(torch.float32, torch.int64, torch.float64))
unary(A("acosh"), low=1, high=9, dtypes=(torch.float32, torch.int64, torch.float64))
unary(A("reciprocal"), low=0.2, high=3.0)
unary(*map(A, ["silu", "mish", "selu", "hardswish", "hardsigmoid"]), low=-8, high=8, dtypes=FLOATS)
unary(A("log_sigmoid"), low=-20, high=20)
unary(*map(A, ["logical_not"]), low=-1, high=1, dtypes=(torch.float32, torch.bool, torch.int64))
unary(A("bitwise_not"), dtypes=(torch.bool, torch.int64, torch.int32), low=-9, high=9)


@case(A("isnan"), A("isinf"))
def _special(rng, i):
    x = t([12])
    x[rng.randint(0, 5)] = math.nan
    x[rng.randint(6, 11)] = pick([math.inf, -math.inf], i)
    return (x,), {}


def binary(*names, low=-3.0, high=3.0, dtypes=(torch.float32,), avoid_zero=False, extra=None):
    def draw(rng, i):
        size, dtype = shape(rng, 0, 4, 4), pick(dtypes, i)
        first, second = t(size, low, high, dtype), t(part_of(rng, size), low, high, dtype)
        if rng.random() < 0.3:
            first, second = second, first
        if avoid_zero:
            second = torch.where(second.abs() < 0.3, torch.ones_like(second), second)
        return (first, second), (extra(rng, i) if extra else {})

    for name in names:
        CASES[name] = draw


def scalar(*names, low=-3.0, high=3.0, dtypes=(torch.float32,), choices=(0.5, 2, -1.25), extra=None):
    def draw(rng, i):
        return (t(shape(rng), low, high, pick(dtypes, i)), pick(choices, i)), (extra(rng, i) if extra else {})

    for name in names:
        CASES[name] = draw


ALPHA = lambda rng, i: {"alpha": pick([1, 2, 3], i)}  # noqa: E731
NUMBERS = (torch.float32, torch.int64, torch.bfloat16)
binary("aten.add.Tensor", "aten.sub.Tensor", "aten.rsub.Tensor", dtypes=NUMBERS, extra=ALPHA)
scalar("aten.add.Scalar", "aten.sub.Scalar", "aten.rsub.Scalar", dtypes=NUMBERS, extra=ALPHA)
binary("aten.mul.Tensor", A("maximum"), A("minimum"), dtypes=NUMBERS)
scalar("aten.mul.Scalar", dtypes=NUMBERS)
binary("aten.div.Tensor", dtypes=NUMBERS, avoid_zero=True)
scalar("aten.div.Scalar", dtypes=NUMBERS)
binary(
    A("floor_divide"), "aten.remainder.Tensor", "aten.fmod.Tensor", dtypes=(torch.float32, torch.int64), avoid_zero=True
)
scalar("aten.remainder.Scalar", "aten.fmod.Scalar", choices=(0.7, 2, -1.25))
MODE = lambda rng, i: {"rounding_mode": pick(["floor", "trunc", None], i)}  # noqa: E731
binary("aten.div.Tensor_mode", avoid_zero=True, extra=MODE)
scalar("aten.div.Scalar_mode", extra=MODE)
binary(A("fmax"), A("fmin"), A("atan2"), A("hypot"), "aten.copysign.Tensor", "aten.ldexp.Tensor")
scalar("aten.pow.Tensor_Scalar", low=0.2, high=2, choices=(2, 0.5, -1.5, 3, -1, -2, -0.5))
binary("aten.pow.Tensor_Tensor", low=0.2, high=2)


@case("aten.pow.Scalar")
def _pow_scalar(rng, i):
    return (pick([2.0, 0.5, 3], i), t(shape(rng), -2, 2)), {}


for _op in ["eq", "ne", "lt", "le", "gt", "ge"]:
    binary(f"aten.{_op}.Tensor", dtypes=(torch.int64, torch.float32))
    scalar(f"aten.{_op}.Scalar", dtypes=(torch.int64, torch.float32), choices=(1, 0, -1.0))
LOGIC = (torch.bool, torch.int64, torch.float32)
binary(*map(A, ["logical_and", "logical_or", "logical_xor"]), low=-1, high=1, dtypes=LOGIC)
BITS = (torch.bool, torch.int64, torch.int32)
binary(*[f"aten.bitwise_{op}.Tensor" for op in ["and", "or", "xor"]], low=-9, high=9, dtypes=BITS)
scalar(*[f"aten.bitwise_{op}.Scalar" for op in ["and", "or", "xor"]], low=-9, high=9, dtypes=BITS[1:], choices=(5, -2))
SHIFTS = ["bitwise_left_shift", "bitwise_right_shift"]
for _op in SHIFTS:
    CASES[f"aten.{_op}.Tensor"] = lambda rng, i: (
        (lambda size: (t(size, -99, 99, pick(BITS[1:], i)), t(size, 0, 9, pick(BITS[1:], i))))(shape(rng)),
        {},
    )
scalar(*[f"aten.{_op}.Tensor_Scalar" for _op in SHIFTS], low=-99, high=99, dtypes=(torch.int64,), choices=(0, 1, 5))
scalar("aten.__lshift__.Scalar", "aten.__rshift__.Scalar", low=-99, high=99, dtypes=(torch.int64,), choices=(0, 1, 5))


def where(kind):
    def draw(rng, i):
        size = shape(rng)
        first = 0.5 if "Self" in kind or kind == "Scalar" else t(part_of(rng, size))
        second = -1.5 if "Other" in kind or kind == "Scalar" else t(size)
        return (t(part_of(rng, size), dtype=torch.bool), first, second), {}

    return draw


for _kind in ["self", "ScalarSelf", "ScalarOther", "Scalar"]:
    CASES[f"aten.where.{_kind}"] = where(_kind)


@case(A("addcmul"), A("addcdiv"))
def _addc(rng, i):
    size = shape(rng, 1)
    return (t(size), t(part_of(rng, size)), t(size, 0.5, 2)), {"value": pick([1, 0.5, -2], i)}


CASES["aten.lerp.Scalar"] = lambda rng, i: ((t([3, 4]), t([4]), pick([0.25, 0.5, 0.9], i)), {})
CASES["aten.lerp.Tensor"] = lambda rng, i: ((t([3, 4]), t([4]), t([3, 1], 0, 1)), {})
CASES[A("clamp")] = lambda rng, i: ((t(shape(rng)), *pick([(-1, 1), (None, 0.5), (-0.5, None)], i)), {})
CASES["aten.clamp.Tensor"] = lambda rng, i: (
    (t([3, 4]), *pick([(t([4]), t([3, 1])), (None, t([4])), (t([4]), None)], i)),
    {},
)
scalar(A("clamp_min"), A("clamp_max"))
scalar(A("leaky_relu"), choices=(0.01, 0.2, 1.5))
CASES[A("prelu")] = lambda rng, i: ((t([3, 4]), t([1])), {})
CASES[A("gelu")] = lambda rng, i: ((t(shape(rng), -5, 5, pick(FLOATS, i)),), {"approximate": pick(["none", "tanh"], i)})
CASES[A("elu")] = lambda rng, i: ((t(shape(rng)), *pick([(), (0.5,), (1.5, 2.0, 0.5)], i)), {})
CASES[A("celu")] = lambda rng, i: ((t(shape(rng)), *pick([(), (0.5,), (2.0,)], i)), {})
CASES[A("hardtanh")] = lambda rng, i: ((t(shape(rng)), *pick([(), (-0.5, 2.0)], i)), {})
CASES[A("softplus")] = lambda rng, i: ((t(shape(rng), -30, 30), *pick([(), (2,), (0.5, 3)], i)), {})
scalar(A("softshrink"), A("hardshrink"), choices=(0.5, 1.0, 2.0))
CASES[A("threshold")] = lambda rng, i: ((t(shape(rng)), 0.5, -2.0), {})


@case("aten.to.dtype")
def _to(rng, i):
    return (t(shape(rng), -9, 9), pick([torch.int64, torch.float16, torch.bool, torch.float64], i)), {}


CASES[A("_to_copy")] = lambda rng, i: (
    (t(shape(rng), -9, 9, pick(NUMBERS, i)),),
    {"dtype": pick([torch.int32, torch.float32, torch.bool, None], i)},
)

# ---- constants -------------------------------------------------------------------------------------------------

CASES[A("zeros")] = lambda rng, i: ((shape(rng),), {"dtype": pick([torch.float32, torch.int64], i)})
CASES[A("ones")] = lambda rng, i: ((shape(rng),), {"dtype": pick([torch.float16, torch.bool], i)})
CASES[A("full")] = lambda rng, i: ((shape(rng), pick([1.5, 3, True], i)), {})
for _op in ["zeros_like", "ones_like"]:
    CASES[A(_op)] = lambda rng, i: ((t(shape(rng)),), {})
CASES[A("full_like")] = lambda rng, i: ((t(shape(rng)), 2.5), {})
CASES[A("scalar_tensor")] = lambda rng, i: ((2.5,), {"dtype": pick([torch.float32, torch.int64], i)})
CASES[A("arange")] = lambda rng, i: ((pick([7, 5.5], i),), {})
CASES["aten.arange.start"] = lambda rng, i: ((pick([-2, 0.5], i), 7), {})
CASES["aten.arange.start_step"] = lambda rng, i: ((*pick([(2, 11, 3), (5, 0, -2), (0.0, 1.0, 0.25)], i),), {})
for _op in ["tril", "triu"]:
    CASES[A(_op)] = lambda rng, i: ((t([2, 4, 5]), pick([0, 1, -2], i)), {})

# ---- moves -----------------------------------------------------------------------------------------------------


@case(A("view"), A("reshape"), A("_unsafe_view"))
def _view(rng, i):
    return pick(
        [(t([4, 6]), [2, 2, 6]), (t([2, 3, 4]), [6, -1]), (t([2, 3, 4]), [4, 3, 2]), (t([1, 6]), [3, 2, 1])], i
    ), {}


CASES["aten.flatten.using_ints"] = lambda rng, i: ((t([2, 3, 4, 2]), *pick([(1, -1), (0, 1), (1, 2)], i)), {})
CASES[A("permute")] = lambda rng, i: ((t([2, 3, 4]), pick([[2, 0, 1], [-1, 1, 0], [0, 2, 1]], i)), {})
CASES["aten.transpose.int"] = lambda rng, i: ((t([2, 3, 4]), *pick([(0, 2), (-1, -2), (1, 1)], i)), {})
CASES[A("t")] = lambda rng, i: ((pick([t([3, 4]), t([5]), t([])], i),), {})
CASES[A("expand")] = lambda rng, i: ((t([3, 1]), pick([[3, 4], [2, 3, 5], [-1, 2]], i)), {})
CASES[A("squeeze")] = lambda rng, i: ((t([1, 3, 1, 2]),), {})
CASES["aten.squeeze.dim"] = lambda rng, i: ((t([1, 3, 1]), pick([0, 1, -1], i)), {})
CASES["aten.squeeze.dims"] = lambda rng, i: ((t([1, 3, 1]), pick([[0, 2], [0, 1], [-1]], i)), {})
CASES[A("unsqueeze")] = lambda rng, i: ((t([2, 3]), pick([0, -1, 1], i)), {})
CASES["aten.select.int"] = lambda rng, i: ((t([3, 4, 2]), *pick([(0, 1), (-1, -1), (1, 3)], i)), {})
CASES["aten.slice.Tensor"] = lambda rng, i: (
    (t([5, 7]), *pick([(0, 1, 4), (1, 0, 9223372036854775807, 2), (1, -4, -1), (-1, None, 5, 3)], i)),
    {},
)
CASES["aten.split.Tensor"] = lambda rng, i: ((t([7, 4]), *pick([(3, 0), (2, 1), (9, 0)], i)), {})
CASES["aten.split.sizes"] = lambda rng, i: ((t([2, 7]), [3, 4], 1), {})
CASES[A("split_with_sizes")] = lambda rng, i: ((t([6, 4]), *pick([([1, 5], 0), ([2, 2], -1)], i)), {})
CASES[A("chunk")] = lambda rng, i: ((t([7, 4]), *pick([(3, 0), (2, 1), (4, 0)], i)), {})
CASES["aten.unbind.int"] = lambda rng, i: ((t([3, 4]), pick([0, 1, -1], i)), {})
CASES[A("constant_pad_nd")] = lambda rng, i: (
    (t([3, 4]), *pick([([1, 2],), ([0, 1, 2, 0], 1.5), ([-1, 2, 1, -2], -0.5)], i)),
    {},
)
CASES[A("cat")] = lambda rng, i: (
    pick(
        [
            ([t([2, 3]), t([4, 3])], 0),
            ([t([2, 1]), t([2, 3]), t([2, 2])], -1),
            ([t([2], dtype=torch.int64), t([3])], 0),
        ],
        i,
    ),
    {},
)
CASES[A("stack")] = lambda rng, i: (([t([2, 3]), t([2, 3]), t([2, 3])], pick([0, -1, 1], i)), {})
CASES[A("slice_scatter")] = lambda rng, i: (
    pick([(t([5, 4]), t([3, 4]), 0, 1, 4), (t([5, 4]), t([5, 2]), 1, 0, 4, 2)], i),
    {},
)
CASES[A("select_scatter")] = lambda rng, i: (pick([(t([5, 4]), t([4]), 0, 2), (t([5, 4]), t([5]), -1, -1)], i), {})
CASES[A("flip")] = lambda rng, i: ((t([3, 4]), pick([[0], [0, -1], [1]], i)), {})
CASES[A("roll")] = lambda rng, i: ((t([3, 4]), *pick([([1], [0]), ([2, -1], [0, 1]), ([-7], [-1])], i)), {})
CASES[A("repeat")] = lambda rng, i: ((t([2, 3]), pick([[2, 2], [1, 3], [2, 1, 2]], i)), {})
CASES[A("pixel_shuffle")] = lambda rng, i: ((t([2, 8, 3, 2]), 2), {})
for _n in (1, 2, 3):
    for _op in ["reflection", "replication"]:
        CASES[A(f"{_op}_pad{_n}d")] = lambda rng, i, n=_n: (
            (t([2, 2] + [5, 4, 3][3 - n :]), [rng.randint(0, 2) for _ in range(2 * n)]),
            {},
        )

# ---- reductions ------------------------------------------------------------------------------------------------


def reduction(*names, dtypes=(torch.float32,), low=-2.0, high=2.0, full=(), one_dim=False, extra=None):
    def draw(rng, i):
        x = t(shape(rng, 1, 4, 4), low, high, pick(dtypes, i))
        dims = rng.sample(range(-x.dim(), 0), rng.randint(1, x.dim()))
        return (x, dims[0] if one_dim else dims, rng.random() < 0.5), (extra(rng, i) if extra else {})

    for name in names:
        CASES[name] = draw
    for name in full:
        CASES[name] = lambda rng, i: ((t(shape(rng, 0, 3), low, high, pick(dtypes, i)),), {})


reduction("aten.sum.dim_IntList", full=["aten.sum.default"], dtypes=(torch.float32, torch.int32, torch.bool))
reduction("aten.mean.dim", full=["aten.mean.default"], dtypes=(torch.float32, torch.float16))
reduction("aten.prod.dim_int", one_dim=True, full=["aten.prod.default"], dtypes=(torch.float32, torch.int64))
reduction(
    "aten.amax.default",
    "aten.amin.default",
    full=["aten.max.default", "aten.min.default"],
    dtypes=(torch.float32, torch.int64),
)
reduction(
    "aten.any.dim",
    "aten.all.dim",
    "aten.argmax.default",
    "aten.argmin.default",
    "aten.max.dim",
    "aten.min.dim",
    one_dim=True,
    low=-1,
    high=1,
    dtypes=(torch.int64, torch.float32, torch.bfloat16),
)
reduction(
    "aten.any.dims",
    "aten.all.dims",
    full=["aten.any.default", "aten.all.default"],
    low=0,
    high=1,
    dtypes=(torch.int64, torch.bool),
)


def variance(rng, i):
    x = t(shape(rng, 2, 3, 4) + [5])
    return x, pick([[0, -1], [-1], [0]], i), rng.random() < 0.5


for _op in ["var", "std", "var_mean"]:
    CASES[f"aten.{_op}.correction"] = lambda rng, i: (
        variance(rng, i)[:2],
        {"correction": pick([1, 0, None], i), "keepdim": rng.random() < 0.5},
    )
    CASES[f"aten.{_op}.dim"] = lambda rng, i: (
        (lambda x, d, k: (x, d, pick([True, False], i), k))(*variance(rng, i)),
        {},
    )
    CASES[f"aten.{_op}.default"] = lambda rng, i: ((variance(rng, i)[0], pick([True, False], i)), {})


@case(A("logsumexp"))
def _logsumexp(rng, i):
    x = t([3, 4, 5], -9, 9)
    if i % 5 == 1:
        x[1] = -math.inf
    return (x, pick([[1], [0, -1], [2]], i), rng.random() < 0.5), {}


CASES[A("linalg_vector_norm")] = lambda rng, i: (
    (t([3, 4, 5]), pick([2, 1, math.inf, 3.0, 0, -math.inf], i), pick([[1], None, [0, 2]], i), rng.random() < 0.5),
    {},
)
CASES["aten.norm.Scalar"] = lambda rng, i: ((t([3, 4]), pick([2, 1, 3], i)), {})
CASES["aten.norm.ScalarOpt_dim"] = lambda rng, i: ((t([3, 4]), pick([2, 1, None], i), [pick([0, 1], i)], False), {})


def along(rng, make, *args):
    """A tensor and one of its dimensions."""
    x = make(shape(rng, 0, 3, 6), *args)
    return (x, rng.randint(-x.dim(), x.dim() - 1) if x.dim() else rng.choice([0, -1])), {}


for _op in ["cumsum", "cumprod"]:
    CASES[A(_op)] = lambda rng, i: along(
        rng, t, -2, 2, pick([torch.float32, torch.int64, torch.bfloat16, torch.bool], i)
    )


@case("aten.softmax.int", "aten.log_softmax.int")
def _softmax(rng, i):
    (x, dim), _ = along(rng, t, -9, 9, pick([torch.float32, torch.bfloat16, torch.float16], i))
    return (x, dim, pick([None, None, torch.float64], i)), {}


@case(A("_softmax"), A("_log_softmax"))
def _native_softmax(rng, i):
    (x, dim), _ = along(rng, t, -9, 9)
    return (x, dim, False), {}


# ---- contractions ----------------------------------------------------------------------------------------------


def product(*shapes, first=lambda rng, i: (), kwargs=lambda rng, i: {}, dtypes=(torch.float32,)):
    """Operands with letters for extents: ("nk", "km")."""

    def draw(rng, i):
        extents, dtype = {c: rng.randint(1, 6) for c in "bnkm"}, pick(dtypes, i)
        sizes = [[extents[c] for c in text] for text in shapes]
        return (*first(extents, i), *(t(size, dtype=dtype) for size in sizes)), kwargs(rng, i)

    return draw


CASES[A("mm")] = product("nk", "km", dtypes=[*FLOATS, torch.int64])
CASES[A("bmm")] = product("bnk", "bkm", dtypes=FLOATS)
CASES[A("mv")] = product("nk", "k")
CASES[A("dot")] = product("k", "k")
MATMULS = [
    ([3, 5], [5, 4]),
    ([5], [5, 4]),
    ([3, 5], [5]),
    ([5], [5]),
    ([2, 1, 3, 5], [4, 5, 2]),
    ([2, 3, 5], [5]),
    ([5], [2, 5, 3]),
    ([3, 5], [2, 5, 4]),
]
CASES[A("matmul")] = lambda rng, i: (tuple(t(s) for s in pick(MATMULS, rng.randint(0, 7))), {})
SCALES = [{}, {"beta": 0.5, "alpha": 2}, {"beta": 0}]
SCALED = lambda rng, i: pick(SCALES, i)  # noqa: E731
CASES[A("addmm")] = product(
    "nk", "km", first=lambda e, i: (t(pick([[e["m"]], [e["n"], e["m"]], [e["n"], 1]], i)),), kwargs=SCALED
)
CASES[A("baddbmm")] = product("bnm", "bnk", "bkm", kwargs=SCALED)
CASES[A("addmv")] = product("n", "nk", "k", kwargs=SCALED)


@case(A("linear"))
def _linear(rng, i):
    k, n, dtype = rng.randint(1, 7), rng.randint(1, 5), pick(FLOATS, i)
    bias = pick([t([n], dtype=dtype), None], i)
    return (t([*shape(rng, 0, 3), k], dtype=dtype), t([n, k], dtype=dtype), bias), {}


EINSUMS = [
    ("ij,jk->ik", [3, 4], [4, 5]),
    ("bij,bkj->bik", [2, 3, 4], [2, 5, 4]),
    ("...ij,jk", [2, 3, 4], [4, 5]),
    ("ii->i", [3, 3]),
    ("ij->", [3, 4]),
    ("bhqd,bhkd->bhqk", [2, 2, 3, 4], [2, 2, 5, 4]),
    ("i,j->ij", [3], [4]),
    ("ijk,ilm,njm,nlk,abc->", [2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2]),
]
CASES[A("einsum")] = lambda rng, i: (
    (lambda e: (e[0], [t(s, -1, 1) for s in e[1:]]))(pick(EINSUMS, i if i < 4 else rng.randint(0, 7))),
    {},
)


def convolution_draw(rng, n, transposed=False):
    groups = rng.choice([1, 1, 2])
    cin, cout = 2 * groups, 3 * groups
    k = [rng.randint(1, 5 if transposed else 3) for _ in range(n)]
    x = t([2, cin] + [rng.randint(5, 7) for _ in range(n)], -1, 1)
    w = t(([cin, cout // groups] if transposed else [cout, cin // groups]) + k, -1, 1)
    stride = [rng.randint(1, 3 if transposed else 2) for _ in range(n)]
    padding = [rng.randint(0, kk // 2) for kk in k]
    dilation = [rng.choice([1, 1, 2] if transposed else [1, 2]) for _ in range(n)]
    bias = t([cout]) if rng.random() < 0.5 else None
    return x, w, bias, stride, padding, dilation, groups


@case(A("convolution"))
def _convolution(rng, i):
    transposed = i % 2 == 1
    n = pick([2, 2, 1, 3], i)
    x, w, b, s, p, d, g = convolution_draw(rng, n, transposed)
    extra = [rng.randint(0, max(ss, dd) - 1) for ss, dd in zip(s, d, strict=True)] if transposed else [0] * n
    return (x, w, b, s, p, d, transposed, extra, g), {}


for _n in (1, 2, 3):
    CASES[A(f"conv{_n}d")] = lambda rng, i, n=_n: (convolution_draw(rng, n), {})

# ---- norms -----------------------------------------------------------------------------------------------------


def affine(i, size):
    return pick([(t(size), t(size)), (None, None), (t(size), None)], i)


def rows(rng):
    """A shape and the trailing part of it that is normalized, of at least two elements."""
    size = [*shape(rng, 0, 2), rng.randint(1, 4), rng.randint(2, 6)]
    return size, size[-rng.randint(1, 2) :]


@case(A("layer_norm"), A("native_layer_norm"))
def _layer_norm(rng, i):
    size, last = rows(rng)
    return (t(size), last, *affine(i, last), rng.choice([1e-5, 1e-2])), {}


@case(A("rms_norm"))
def _rms_norm(rng, i):
    size, last = rows(rng)
    return (t(size), last, pick([t(last), None], i), rng.choice([1e-5, None])), {}


@case(A("group_norm"))
def _group_norm(rng, i):
    groups, each = rng.randint(1, 3), rng.randint(1, 3)
    size = [rng.randint(1, 3), groups * each, *shape(rng, 1, 3, 4), 2]
    return (t(size), groups, *affine(i, [groups * each])), {}


CASES[A("native_group_norm")] = lambda rng, i: ((t([2, 6, 4]), *affine(i, [6]), 2, 6, 4, 3, 1e-5), {})
CASES[A("instance_norm")] = lambda rng, i: (
    (
        t([rng.randint(1, 3), 3, *shape(rng, 0, 2, 4), 2]),
        *affine(i, [3]),
        *pick([(None, None, True), (t([3]), t([3], 0.5, 2), False)], i),
        0.1,
        1e-5,
        False,
    ),
    {},
)


def batch(rng, i):
    return t([rng.randint(2, 4), 3, *shape(rng, 0, 3, 4)]), *affine(i, [3])


RUNNING = lambda: (t([3]), t([3], 0.5, 2))  # noqa: E731
CASES[A("batch_norm")] = lambda rng, i: (
    (*batch(rng, i), *pick([(*RUNNING(), False), (None, None, True)], i), 0.1, 1e-5, False),
    {},
)
CASES[A("_native_batch_norm_legit_no_training")] = lambda rng, i: ((*batch(rng, i), *RUNNING(), 0.1, 1e-5), {})
CASES[A("_native_batch_norm_legit_functional")] = lambda rng, i: ((*batch(rng, i), *RUNNING(), True, 0.1, 1e-5), {})
CASES["aten._native_batch_norm_legit.no_stats"] = lambda rng, i: ((*batch(rng, i), True, 0.1, 1e-5), {})

# ---- pooling ---------------------------------------------------------------------------------------------------


def windows(rng, n, dilated):
    k = [rng.randint(1, 3) for _ in range(n)]
    stride = [] if rng.random() < 0.3 else [rng.randint(1, 3) for _ in range(n)]
    padding = [rng.randint(0, kk // 2) for kk in k]
    out = [k, stride, padding]
    if dilated:
        out.append([rng.randint(1, 2) for _ in range(n)])
    return [*out, rng.random() < 0.5]


def pooled(rng, n):
    return t([2, 2] + [rng.randint(5, 8) for _ in range(n)])


for _n in (1, 2, 3):
    CASES[A(f"max_pool{_n}d")] = lambda rng, i, n=_n: ((pooled(rng, n), *windows(rng, n, True)), {})
    CASES[A(f"max_pool{_n}d_with_indices")] = CASES[A(f"max_pool{_n}d")]
    CASES[A(f"avg_pool{_n}d")] = lambda rng, i, n=_n: (
        (pooled(rng, n), *windows(rng, n, False), pick([True, False], i)),
        {"divisor_override": 3} if n > 1 and i % 5 == 2 else {},
    )
    for _op in ["avg", "max"]:
        CASES[A(f"adaptive_{_op}_pool{_n}d")] = lambda rng, i, n=_n: (
            (pooled(rng, n), [pick([1, 3, rng.randint(1, 6)], i)] * n),
            {},
        )
    if _n > 1:
        CASES[A(f"_adaptive_avg_pool{_n}d")] = CASES[A(f"adaptive_avg_pool{_n}d")]

# ---- attention -------------------------------------------------------------------------------------------------


@case(A("scaled_dot_product_attention"))
def _attention(rng, i):
    rows, columns, inner, wide = (rng.randint(1, 6) for _ in range(4))
    lead = pick([[2, 4], [4], [2, 3, 2]], rng.randint(0, 5))
    q, k, v = t([*lead, rows, inner]), t([*lead, columns, inner]), t([*lead, columns, wide])
    kind = i % 5
    if kind == 0:
        return (q, k, v), {"is_causal": True}
    if kind == 1:
        mask = t([rows, columns], dtype=torch.bool)
        mask[0] = False
        return (q, k, v), {"attn_mask": mask, "scale": 0.3}
    if kind == 2:
        q = t([2, 4, rows, inner])
        return (q, t([2, 2, columns, inner]), t([2, 2, columns, wide])), {"enable_gqa": True}
    if kind == 3:
        return (q, k, v), {"attn_mask": t([*[1] * (len(lead) - 1), lead[-1], rows, columns])}
    return (q, k, v), {}


def index(size, most):
    return torch.randint(0, most, size)
