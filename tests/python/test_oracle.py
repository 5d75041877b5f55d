# SPDX-License-Identifier: Apache-2.0
"""The fp64 oracle and its noise scale on ops whose rounding is known."""

import pytest
import torch
import torch.nn.functional as F

from kernelwright import oracle

U = 2.0**-24


def judge(function, inputs, unit=U, weights=None, exact=0.0, seed=3):
    weights = weights or {}
    eager = function(inputs, weights)
    return oracle.judge(function, eager, inputs, weights, unit, seed, exact)


def one(function, *inputs, **options):
    return judge(lambda i, w: [function(*i)], list(inputs), **options)


def rho(candidate, answer):
    judged = answer.mask == 0
    out = ((candidate.double() - answer.oracle).abs() / answer.scale)[judged]
    return float(out.square().mean().sqrt()), float(out.max())


def accepted(candidate, answer):
    """The referee's rule."""
    (c_rms, c_max), (e_rms, e_max) = rho(candidate, answer), rho(answer.eager, answer)
    return c_rms <= 2 * e_rms + 1 and c_max <= 2 * e_max + 8


def tf32(tensor):
    return (tensor.view(torch.int32) & ~0x1FFF).view(torch.float32)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("count", [100, 10_000])
def test_noise_of_a_sum(count):
    """Independent errors of u per term: u * sqrt(sum of squares), plus u of the result."""
    x = torch.randn(64, count)
    answer = one(lambda t: t.sum(-1), x).answers[0]
    typical = U * count**0.5
    assert typical < float(answer.scale.median()) < 4 * typical
    assert rho(answer.eager, answer)[0] < 10


def test_noise_of_a_matmul_tells_tf32_from_fp32():
    a, b = torch.randn(64, 2048), torch.randn(2048, 64)
    answer = one(torch.mm, a, b).answers[0]
    typical = U * (2 * 2048) ** 0.5
    assert 0.5 * typical < float(answer.scale.median()) < 3 * typical
    # Another order of the same sum is honest; a 10-bit mantissa is not.
    assert accepted(sum(a[:, k : k + 256] @ b[k : k + 256] for k in range(0, 2048, 256)), answer)
    assert accepted((a.double() @ b.double()).float(), answer)
    assert not accepted(tf32(a) @ tf32(b), answer)
    assert not accepted(a.bfloat16().float() @ b.bfloat16().float(), answer)


def test_inputs_in_the_unit_interval_tell_tf32_too():
    a, b = torch.rand(64, 1024), torch.rand(1024, 64)
    answer = one(torch.mm, a, b).answers[0]
    assert accepted((a.double() @ b.double()).float(), answer)
    assert not accepted(tf32(a) @ tf32(b), answer)


def test_scale_never_falls_below_one_rounding():
    answer = one(torch.relu, torch.randn(1000)).answers[0]
    assert bool((answer.scale >= answer.oracle.abs() * U).all())
    # A zero stays judged sharply: beside large neighbours it gains no tolerance.
    zero = answer.oracle == 0
    assert float(answer.scale[zero].max()) <= torch.finfo(torch.float32).smallest_normal
    assert answer.exact_bits


def test_a_wrong_element_is_seen():
    x = torch.randn(64, 1000)
    answer = one(lambda t: torch.softmax(t, -1), x).answers[0]
    wrong = answer.eager.clone()
    assert accepted(wrong, answer)
    wrong[5, 7] *= 1.001
    assert not accepted(wrong, answer)


def test_mask_only_where_a_branch_flips():
    """Rows whose sum is zero but for rounding take either side of the branch."""
    x = torch.randn(2000, 20)
    x[:10, 19] = -x[:10, :19].double().sum(-1).float()
    verified = one(lambda t: torch.where(t.sum(-1, keepdim=True) > 0, t, t + 5), x)
    mask = verified.answers[0].mask.bool()
    assert bool(mask[:10].any()) and not bool(mask[10:].any())
    assert int(mask.sum()) <= mask.numel() // 100
    # The candidate has no say: its values do not enter.
    assert not bool(one(torch.relu, x).answers[0].mask.any())


def test_mask_is_bounded():
    x = torch.zeros(1000, 2)
    verified = one(lambda t: ((t[:, :1] + 1e-9) - 1e-9 > 0) * torch.ones(1000, 1), x + 1.0)
    assert int(verified.answers[0].mask.sum()) <= 10


def test_argmax_is_an_index_and_near_ties_are_masked():
    x = torch.randn(500, 50)
    x[3, 7] = x[3, 40] = 9.0
    x[3, 40] += 9 * U * 2
    answer = one(lambda t: (t * 1.5 * 0.7).argmax(-1), x).answers[0]
    assert answer.index_output and not answer.exact_bits
    assert int(answer.mask[3]) == 1 and int(answer.mask.sum()) < 5
    answer = one(lambda t: t.topk(3)[1], x).answers[0]
    assert answer.index_output


def test_integer_results_are_exact():
    answer = one(lambda t: (t > 0).to(torch.int64), torch.randn(100)).answers[0]
    assert answer.exact_bits and not answer.index_output
    assert one(lambda t: t.t().contiguous(), torch.randn(4, 5)).answers[0].exact_bits
    assert not one(torch.exp, torch.randn(5)).answers[0].exact_bits


def test_constants_in_the_module_are_widened():
    """A float32 constant or a dtype in the code does not pull the oracle back to float32."""
    answer = one(
        lambda t: (t * torch.full((3,), 0.1)).to(torch.float32) + torch.zeros(3, dtype=torch.float32), torch.ones(3)
    ).answers[0]
    assert answer.oracle.dtype is torch.float64
    assert float(answer.oracle[0]) == 0.1


def test_ill_conditioned_is_said():
    x = torch.randn(1000) * 1e-3 + 1e5
    assert one(lambda t: (t - 1e5).sum(0, keepdim=True) * 1e-3 - 1e-3, x + 0).median_relative_noise > 1e-5
    assert one(lambda t: t + 1e9 - 1e9, torch.randn(1000)).ill_conditioned
    assert not one(torch.exp, torch.randn(1000)).ill_conditioned


def test_exact_run_refuses_fractions_and_large_numbers():
    x = torch.arange(-5.0, 5.0)
    assert judge(lambda i, w: [i[0] * 3 + 1], [x], exact=2.0**24).answers[0].oracle[0] == -14
    for function in (torch.sigmoid, lambda t: t / 3 * 3, lambda t: t * 2**25):
        with pytest.raises(oracle.NotExact):
            one(function, x, exact=2.0**24)


def test_random_ops_have_no_oracle():
    with pytest.raises(oracle.RandomOp):
        one(lambda t: torch.nn.functional.dropout(t, 0.5, True), torch.randn(10))
    one(lambda t: torch.nn.functional.dropout(t, 0.5, False), torch.randn(10))


def test_not_finite_results_do_not_spoil_the_rest():
    x = torch.tensor([1.0, 0.0, -1.0, float("inf")])
    answer = one(torch.log, x).answers[0]
    assert bool(torch.isfinite(answer.scale).all()) and not bool(answer.mask.any())
    assert torch.isinf(answer.oracle[1]) and torch.isnan(answer.oracle[2])


def test_half_precision_has_its_own_unit():
    x = torch.randn(1000).bfloat16()
    answer = one(lambda t: t * 2.3, x, unit=2.0**-8).answers[0]
    assert rho(answer.eager, answer)[1] < 3


def test_weights_carry_noise_as_well():
    x, w = torch.randn(8, 64), torch.randn(64, 8)
    answer = judge(lambda i, ws: [i[0] @ ws["w"]], [x], weights={"w": w}).answers[0]
    assert float(answer.scale.median()) > U * 64**0.5


@pytest.mark.parametrize(
    "function",
    [
        torch.nn.functional.gelu,
        lambda t: torch.nn.functional.gelu(t, approximate="tanh"),
        lambda t: torch.log_softmax(t, -1),
    ],
)
def test_ops_that_cancel_inside(function):
    """Eager loses all relative accuracy in the tails; the scale knows."""
    x = torch.cat([torch.randn(100, 32), torch.linspace(-9, 9, 3200).reshape(100, 32)])
    x[:, 0] += 12
    answer = one(function, x).answers[0]
    assert rho(answer.eager, answer)[1] < 20
    assert not accepted(function(tf32(x)), answer)


@pytest.mark.parametrize(
    "norm",
    [
        lambda x: F.group_norm(x, 4, torch.ones(16), torch.zeros(16)),
        lambda x: F.layer_norm(x, x.shape[1:], eps=1e-6),
        lambda x: F.instance_norm(x),
    ],
    ids=["group", "layer", "instance"],
)
def test_a_norms_mean_is_rounded_for_all_elements_alike(norm):
    """What is left in the mean of a norm's result is that rounding, and it does not shrink with the elements' number."""
    x = torch.randn(3, 16, 32, 32) + 4
    answer = one(lambda t: norm(t).mean(dim=(1, 2, 3)), x).answers[0]
    assert float(answer.oracle.abs().max()) < 1e-6 * U
    assert 0.2 * U < float(answer.scale.median()) < 8 * U
    in_other_order = norm(x.flip(3)).double().mean(dim=(1, 2, 3)).float()
    assert accepted(in_other_order, answer)
    # An element's own noise stays what it was: a rounding or two.
    result = one(norm, torch.randn(3, 16, 32, 32)).answers[0]
    assert float((result.scale / (result.oracle.abs() * U)).median()) < 3
