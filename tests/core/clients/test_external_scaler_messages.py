"""Our messages against those that protoc makes of the interface: same bytes in, same values out, and the other way."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from core.clients.external_scaler_messages import (
    GetMetricSpecResponse,
    GetMetricsRequest,
    GetMetricsResponse,
    IsActiveResponse,
    MetricSpec,
    MetricValue,
    ScaledObjectRef,
    Undecodable,
    decode,
    encode,
)
from tests.support.external_scaler import generated

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
DOUBLES = st.floats(allow_nan=False)
REFS = st.builds(ScaledObjectRef, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=5))
SPECS = st.builds(MetricSpec, TEXT, NUMBERS, DOUBLES)
VALUES = st.builds(MetricValue, TEXT, NUMBERS, DOUBLES)
MESSAGES = st.one_of(
    REFS,
    st.builds(IsActiveResponse, st.booleans()),
    st.builds(GetMetricSpecResponse, st.lists(SPECS, max_size=4)),
    st.builds(GetMetricsRequest, REFS, TEXT),
    st.builds(GetMetricsResponse, st.lists(VALUES, max_size=4)),
)


def theirs(message: Any) -> Any:
    """The same message in protobuf's own classes."""
    messages = generated()[0]
    made = getattr(messages, type(message).__name__)
    match message:
        case ScaledObjectRef(name, namespace, metadata):
            return made(name=name, namespace=namespace, scalerMetadata=metadata)
        case IsActiveResponse(result):
            return made(result=result)
        case MetricSpec(name, whole, value):
            return made(metricName=name, targetSize=whole, targetSizeFloat=value)
        case MetricValue(name, whole, value):
            return made(metricName=name, metricValue=whole, metricValueFloat=value)
        case GetMetricSpecResponse(specs):
            return made(metricSpecs=[theirs(each) for each in specs])
        case GetMetricsRequest(ref, name):
            return made(scaledObjectRef=theirs(ref), metricName=name)
        case GetMetricsResponse(values):
            return made(metricValues=[theirs(each) for each in values])
    raise AssertionError(message)


def as_values(message: Any) -> Any:
    """Sequences alike, whatever holds them."""
    if isinstance(message, GetMetricSpecResponse):
        return list(message.metric_specs)
    return list(message.metric_values) if isinstance(message, GetMetricsResponse) else message


@given(MESSAGES)
def test_what_we_write_is_what_protobuf_reads(message: Any) -> None:
    parsed = getattr(generated()[0], type(message).__name__).FromString(encode(message))
    assert parsed == theirs(message)


@given(MESSAGES)
def test_what_protobuf_writes_is_what_we_read(message: Any) -> None:
    assert as_values(decode(type(message), theirs(message).SerializeToString())) == as_values(message)


@given(MESSAGES.filter(lambda message: not isinstance(message, ScaledObjectRef | GetMetricsRequest)))
def test_without_a_map_the_bytes_are_the_same(message: Any) -> None:
    assert encode(message) == theirs(message).SerializeToString()


@given(st.binary(max_size=60))
def test_bytes_that_are_no_message_are_refused_as_protobuf_refuses_them(data: bytes) -> None:
    try:
        ours: Any = decode(GetMetricsResponse, data)
    except Undecodable:
        ours = None
    try:
        message = generated()[0].GetMetricsResponse.FromString(data)
    except DecodeError:
        message = None
    if ours is not None and message is not None:
        found = [(each.metricName, each.metricValue, each.metricValueFloat) for each in message.metricValues]
        expected = [(each.metric_name, each.metric_value, each.metric_value_float) for each in ours.metric_values]
        assert repr(found) == repr(expected)  # repr: NaN is not equal to itself
    elif ours is not None:
        assert message is not None, data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"\x0a\x05ab", "middle of a field", id="cut off"),
        pytest.param(b"\x0a", "middle of a number", id="no length"),
        pytest.param(b"\x0b", "wire type 3", id="a group"),
        pytest.param(b"\x00\x00", "number 0", id="field 0"),
        pytest.param(b"\x08" + b"\xff" * 11, "ten bytes", id="a number without end"),
        pytest.param(b"\x0a\x01\xff", "UTF-8", id="no text"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    with pytest.raises(Undecodable, match=words):
        decode(ScaledObjectRef, data)


def test_fields_of_a_later_version_are_passed_over() -> None:
    later = b"\x20\x07" + b"\x29" + bytes(8) + b"\x32\x01x" + b"\x3d" + bytes(4)
    assert decode(ScaledObjectRef, later + encode(ScaledObjectRef("a"))) == ScaledObjectRef("a")


@pytest.mark.parametrize(
    ("whole", "value", "expected"),
    [(7, 0.0, 7.0), (7, 0.25, 0.25), (0, 0.0, 0.0), (7, -1.0, -1.0)],
)
def test_the_double_is_used_where_there_is_one(whole: int, value: float, expected: float) -> None:
    assert MetricValue("x", whole, value).value == expected
    assert math.isnan(MetricValue("x", whole, math.nan).value)


def test_a_target_is_the_double_where_it_is_positive() -> None:
    assert (MetricSpec("x", 7, 0.5).target, MetricSpec("x", 7, 0.0).target, MetricSpec("x", 7, -1).target) == (
        0.5,
        7,
        7,
    )
