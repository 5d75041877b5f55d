# SPDX-License-Identifier: Apache-2.0
"""The --inputs grammar: what is printed reads back, what is read has the right form, the rest is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelwright.errors import InputError
from kernelwright.input_spec import DTYPES, InputSpec, InputSpecs, parse_inputs

INTEGERS = [name for name, dtype in DTYPES.items() if not dtype.is_floating_point and dtype != torch.bool]
shapes = st.lists(st.integers(1, 5), max_size=4).map(tuple)
plain = st.builds(InputSpec, st.sampled_from(list(DTYPES)), shapes)
bounded = st.builds(InputSpec, st.sampled_from(INTEGERS), shapes, st.integers(1, 127))
specs = st.lists(st.one_of(plain, bounded), min_size=1, max_size=5).map(lambda items: InputSpecs(tuple(items)))
names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)


@given(specs)
def test_round_trip(spec):
    assert parse_inputs(spec.text()) == spec
    assert parse_inputs(spec.text().replace(",", " , ").replace("<", " < ")) == spec


@given(plain, names)
def test_round_trip_with_a_name(item, name):
    spec = InputSpecs((InputSpec(item.dtype, item.shape, None, name),))
    assert parse_inputs(spec.text()) == spec


@settings(max_examples=50)
@given(specs)
def test_drawn_tensors_have_the_form(spec):
    args, kwargs = spec.draw()
    assert not kwargs and len(args) == len(spec.inputs)
    for tensor, item in zip(args, spec.inputs, strict=True):
        assert tensor.dtype == DTYPES[item.dtype] and tuple(tensor.shape) == item.shape
        if item.dtype in INTEGERS:
            assert 0 <= int(tensor.to(torch.int64).min()) and int(tensor.to(torch.int64).max()) < (item.bound or 2)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        parse_inputs(text)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f32",
        "f32[",
        "f32[3",
        "f32[3]]",
        "f32[3],",
        ",f32[3]",
        "f32[3] f32[3]",
        "f32[-1]",
        "f32[1.5]",
        "f32[a]",
        "f31[3]",
        "float[3]",
        "f32[3]<5",
        "bool[3]<2",
        "i64[3]<0",
        "i64[3]<-1",
        "i8[3]<128",
        "f32[0]",
        "f32[1,,2]",
        "f32[99999999999,99999999999]",
        "x=f32[3],x=f32[3]",
        "i64[3]<",
        "f32[1 2]",
    ],
)
def test_refused(text):
    with pytest.raises(InputError):
        parse_inputs(text)


def test_the_example_of_the_help_text():
    image, tokens = parse_inputs("f32[8,3,224,224],i64[4,16]<1000").inputs
    assert image == InputSpec("f32", (8, 3, 224, 224)) and tokens == InputSpec("i64", (4, 16), 1000)
