# SPDX-License-Identifier: Apache-2.0
"""More of op_cases.py: losses."""

from op_cases import CASES, A, index, pick, t

# ---- losses ----------------------------------------------------------------------------------------------------

for _op in ["mse", "l1", "smooth_l1", "huber"]:
    CASES[A(f"{_op}_loss")] = lambda rng, i: ((t([3, 4]), t([3, 4]), pick([1, 2, 0], i)), {})
CASES[A("kl_div")] = lambda rng, i: (
    (t([3, 4]).log_softmax(-1), t([3, 4], -2, 0) if i % 2 else t([3, 4], 0, 1), pick([1, 2, 0], i)),
    {"log_target": i % 2 == 1},
)
CASES[A("binary_cross_entropy")] = lambda rng, i: (
    (t([3, 4], 0.05, 0.95), t([3, 4], 0, 1), pick([None, t([4], 0.5, 2), None], i), pick([1, 2, 0], i)),
    {},
)


def labels(rng, i):
    x, y = pick([([4, 5], [4]), ([2, 5, 3], [2, 3]), ([5], [])], i)
    target = index(y, 5)
    if y and i % 2 == 0:
        target[0] = -100
    return x, target


CASES[A("cross_entropy_loss")] = lambda rng, i: (
    (lambda x, y: (t(x, -5, 5), y, None, pick([1, 0, 2], i)))(*labels(rng, i)),
    {},
)
CASES[A("nll_loss_nd")] = lambda rng, i: (
    (lambda x, y: (t(x, -5, 0), y, None, pick([1, 0, 2], i)))(*labels(rng, i)),
    {},
)
