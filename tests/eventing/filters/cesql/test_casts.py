"""Section 3.7: every cast of the table, and what cannot be cast."""

from __future__ import annotations

import pytest

from eventing.filters.cesql.casts import ZERO, Type, Value, cast, type_of
from eventing.filters.cesql.errors import ErrorKind, Failure

S, I, B = Type.STRING, Type.INTEGER, Type.BOOLEAN  # noqa: E741


@pytest.mark.parametrize(
    ("value", "target", "result"),
    [
        (0, S, "0"),
        (-7, S, "-7"),
        (2147483647, S, "2147483647"),
        (0, B, False),
        (1, B, True),
        (-50, B, True),
        ("0", I, 0),
        ("-12", I, -12),
        ("+12", I, 12),
        ("0012", I, 12),
        ("-0", I, 0),
        ("0" * 6000 + "1", I, 1),
        ("2147483647", I, 2147483647),
        ("-2147483648", I, -2147483648),
        ("true", B, True),
        ("FaLsE", B, False),
        (True, I, 1),
        (False, I, 0),
        (True, S, "true"),
        (False, S, "false"),
        ("x", S, "x"),
        (5, I, 5),
        (True, B, True),
        ("x", Type.ANY, "x"),
    ],
)
def test_casts(value: Value, target: Type, result: Value) -> None:
    found = cast(value, target)
    assert (found, type(found)) == (result, type(result))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("", I),
        ("abc", I),
        ("1.0", I),
        ("1_0", I),
        (" 1", I),
        ("1\n", I),
        ("--1", I),
        ("+", I),
        ("٣", I),
        ("²", I),
        ("0x1", I),
        ("2147483648", I),
        ("-2147483649", I),
        ("9" * 6000, I),
        ("", B),
        ("1", B),
        ("yes", B),
        (" true", B),
        ("true\n", B),
    ],
)
def test_refuses(text: str, target: Type) -> None:
    with pytest.raises(Failure) as raised:
        cast(text, target)
    assert raised.value.error.kind is ErrorKind.CAST
    assert len(raised.value.error.message) < 100


def test_knows_types_and_their_zero() -> None:
    assert [type_of(value) for value in ("", 0, False)] == [S, I, B]
    assert [(ZERO[each], type_of(ZERO[each])) for each in (S, I, B)] == [("", S), (0, I), (False, B)]
