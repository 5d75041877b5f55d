# SPDX-License-Identifier: Apache-2.0
"""More of op_cases.py: scans, order, writes at positions that are data, recurrences."""

import math

import torch
from op_cases import CASES, SCALED, A, along, case, index, pick, product, shape, t

# ---- positions that are data, resizing -------------------------------------------------------------------------

CASES[A("embedding")] = lambda rng, i: ((t([7, 4]), index(pick([[3], [2, 3], []], i), 7)), {})
CASES[A("index_select")] = lambda rng, i: ((t([4, 5]), pick([0, 1, -1], i), index([6], 4)), {})
CASES[A("gather")] = lambda rng, i: ((t([4, 5]), pick([0, 1, -1], i), index([3, 4], 4)), {})
CASES["aten.index.Tensor"] = lambda rng, i: (
    pick(
        [
            (t([4, 5, 6]), [None, index([3], 5) - 2]),
            (t([4, 5, 6]), [index([2, 1], 4), index([3], 5)]),
            (t([4, 5, 6]), [index([3], 4), None, index([2, 1], 6)]),
        ],
        i,
    ),
    {},
)
CASES["aten.upsample_nearest2d.vec"] = lambda rng, i: (
    (t([2, 3, 4, 5]), *pick([([7, 3], None), (None, [2.0, 3.0]), ([8, 10], None)], i)),
    {},
)
CASES["aten.upsample_bilinear2d.vec"] = lambda rng, i: (
    (t([2, 3, 4, 5]), *pick([([7, 3], False, None), (None, True, [2.0, 3.0]), (None, False, [2.0, 2.0])], i)),
    {},
)
CASES[A("glu")] = lambda rng, i: ((t([4, 6]), pick([-1, 0, 1], i)), {})

# ---- scans -----------------------------------------------------------------------------------------------------


@case(A("cummax"), A("cummin"))
def _cummax(rng, i):
    # Few values, so that there are ties.
    (x, dim), _ = along(rng, t, -2, 2, pick([torch.int64, torch.float32, torch.int32], i))
    if i % 5 == 1 and x.numel() and x.is_floating_point():
        x.view(-1)[rng.randrange(x.numel())] = math.nan
    return (x.round() if x.is_floating_point() else x, dim), {}


@case(A("logcumsumexp"))
def _logcumsumexp(rng, i):
    (x, dim), _ = along(rng, t, -50, 50)
    if i % 5 == 1 and x.dim():
        x.select(dim, 0).fill_(-math.inf)
    return (x, dim), {}


# ---- order -----------------------------------------------------------------------------------------------------


def ties(rng, dtype=torch.float32):
    (x, dim), _ = along(rng, t, -3, 3, dtype)
    return (x.round() if x.is_floating_point() else x), dim


def distinct(rng, i):
    """No two elements are equal: PyTorch leaves open which of equal ones comes first."""
    size = shape(rng, 0, 3, 5)
    x = (torch.randperm(math.prod(size)) - 7).reshape(size)
    x = x.to(pick([torch.float32, torch.int64, torch.bfloat16, torch.float64], i))
    if i % 7 == 3 and x.is_floating_point():
        x.view(-1)[rng.randrange(x.numel())] = math.nan
    return x, rng.randint(-x.dim(), x.dim() - 1) if size else 0


CASES["aten.sort.default"] = CASES[A("argsort")] = lambda rng, i: ((*distinct(rng, i), i % 2 == 0), {})
CASES["aten.sort.stable"] = CASES["aten.argsort.stable"] = lambda rng, i: (
    lambda x, dim: ((x,), {"stable": True, "dim": dim, "descending": i % 2 == 0})
)(*ties(rng, pick([torch.float32, torch.int64], i)))


@case(A("topk"))
def _topk(rng, i):
    x, dim = distinct(rng, i)
    return (x, rng.randint(1, x.shape[dim] if x.dim() else 1), dim, i % 3 != 0), {}


@case(A("kthvalue"))
def _kthvalue(rng, i):
    x, dim = distinct(rng, i)
    return (x, rng.randint(1, x.shape[dim] if x.dim() else 1), dim, i % 2 == 0), {}


CASES["aten.median.dim"] = lambda rng, i: ((*distinct(rng, i), i % 2 == 0), {})
CASES["aten.bucketize.Tensor"] = lambda rng, i: (
    (t(shape(rng), -3, 3).round(), t([rng.randint(1, 6)], -3, 3).round().sort()[0]),
    {"out_int32": i % 3 == 1, "right": i % 2 == 0},
)


@case("aten.searchsorted.Tensor")
def _searchsorted(rng, i):
    lead = shape(rng, 0, 2, 3)
    rows = t([*lead, rng.randint(1, 6)], -3, 3).round().sort(-1)[0]
    return (rows, t([*lead, rng.randint(1, 4)], -3, 3).round()), {"side": pick(["left", "right"], i)}


# ---- writes at positions ---------------------------------------------------------------------------------------


def scattered(rng, unique):
    """self, dim, index and a source; with `unique` no element is written twice."""
    size = shape(rng, 1, 3, 5)
    dim = rng.randrange(len(size))
    own = [rng.randint(1, s) for s in size]
    positions = torch.randint(0, size[dim], own)
    if unique:
        order = torch.rand([*own[:dim], size[dim], *own[dim + 1 :]]).argsort(dim)
        positions = order.narrow(dim, 0, own[dim]).contiguous()
    elif rng.random() < 0.3:
        own[dim] = 7
        positions = torch.randint(0, size[dim], own)
    source = [s + rng.randint(0, 1) for s in own]
    return t(size), rng.choice([dim, dim - len(size)]), positions, t(source)


CASES["aten.scatter.src"] = lambda rng, i: (scattered(rng, True), {})
CASES["aten.scatter.value"] = lambda rng, i: ((*scattered(rng, False)[:3], pick([1.5, 2, True], i)), {})
CASES[A("scatter_add")] = lambda rng, i: (scattered(rng, False), {})
CASES["aten.scatter_reduce.two"] = lambda rng, i: (
    (*scattered(rng, False), pick(["sum", "prod", "mean", "amax", "amin"], i)),
    {"include_self": rng.random() < 0.5},
)


@case(A("index_add"))
def _index_add(rng, i):
    size = shape(rng, 1, 3, 5)
    dim, count = rng.randrange(len(size)), rng.randint(1, 6)
    source = [*size[:dim], count, *size[dim + 1 :]]
    return (t(size), dim, index([count], size[dim]), t(source)), {"alpha": pick([1, 2, 0.5], i)}


def put(rng, i):
    x = t([4, 5, 6])
    choice = i % 5
    if choice == 0:
        mask = t(pick([[4, 5, 6], [4, 5], [4]], i), dtype=torch.bool)
        return x, [mask], t([]), False
    if choice == 1:
        return x, [None, torch.randperm(5)[:3] - 2], t(pick([[4, 3, 6], [3, 1], [6], []], i)), False
    if choice == 2:
        return x, [index([2, 1], 4), index([3], 5)], t([2, 3, 6]), True
    if choice == 3:
        return x, [index([3], 4), None, index([2, 1], 6)], t(pick([[2, 3, 5], [5], [3, 1]], i)), True
    return x, [torch.randperm(4)[:3]], t([3, 5, 6]), rng.random() < 0.5


CASES[A("index_put")] = CASES[A("_unsafe_index_put")] = lambda rng, i: (put(rng, i), {})
CASES["aten._unsafe_index.Tensor"] = CASES["aten.index.Tensor"]

# ---- the rest of what moves or contracts ---------------------------------------------------------------------------


@case(A("unfold"))
def _unfold(rng, i):
    size = shape(rng, 1, 3, 6)
    dim = rng.randrange(len(size))
    return (t(size), rng.choice([dim, dim - len(size)]), rng.randint(1, size[dim]), rng.randint(1, 3)), {}


@case(A("diagonal"))
def _diagonal(rng, i):
    size = shape(rng, 2, 4, 5)
    first, second = rng.sample(range(-len(size), 0), 2)
    most = min(size[first], size[second]) - 1
    return (t(size), rng.randint(-most, most), first, second), {}


CASES["aten.median.default"] = lambda rng, i: ((distinct(rng, i)[0],), {})
CASES[A("addbmm")] = product("nm", "bnk", "bkm", kwargs=SCALED)


@case(A("bilinear"))
def _bilinear(rng, i):
    lead, a, b, o = shape(rng, 1, 3, 3), *(rng.randint(1, 4) for _ in range(3))
    return (t([*lead, a]), t([*lead, b]), t([o, a, b]), pick([t([o]), None], i)), {}


@case(A("_cdist_forward"))
def _cdist(rng, i):
    lead, n, m, k = shape(rng, 0, 2, 3), *(rng.randint(1, 5) for _ in range(3))
    return (t([*lead, n, k]), t([*lead, m, k]), pick([2.0, 1.0, math.inf, 3.0, 0.0], i), 2), {}


# ---- recurrences -----------------------------------------------------------------------------------------------


def recurrence(rng, i, gates):
    layers, directions, bias = rng.randint(1, 2), rng.randint(1, 2), rng.random() < 0.7
    features, hidden, batch, steps = (rng.randint(1, 4) for _ in range(4))
    steps += 32 * (i % 4 == 3)
    batch_first, lstm = rng.random() < 0.5, gates == 4
    weights = []
    for layer in range(layers):
        for _ in range(directions):
            entering = features if layer == 0 else directions * hidden
            weights += [t([gates * hidden, entering], -1, 1), t([gates * hidden, hidden], -1, 1)]
            weights += [t([gates * hidden], -1, 1), t([gates * hidden], -1, 1)] if bias else []
    state = [t([layers * directions, batch, hidden], -1, 1) for _ in range(2 if lstm else 1)]
    x = t([batch, steps, features] if batch_first else [steps, batch, features])
    options = (bias, layers, 0.0, i % 3 == 0, directions == 2, batch_first)
    return (x, state if lstm else state[0], weights, *options), {}


for _name, _gates in [("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)]:
    CASES[f"aten.{_name}.input"] = lambda rng, i, gates=_gates: recurrence(rng, i, gates)
