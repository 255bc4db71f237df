from __future__ import annotations

import decimal
from collections.abc import Sequence
from typing import Any

import pytest

from core.errors import TemporaryError
from scalers.sql import number_of


@pytest.mark.parametrize(
    ("row", "number"),
    [
        ((7,), 7.0),
        ((7, "more"), 7.0),
        ((0,), 0.0),
        ((-2.5,), -2.5),
        ((decimal.Decimal("1.25"),), 1.25),
        (("12",), 12.0),
        ((b"4.5",), 4.5),
        ((bytearray(b"4"),), 4.0),
    ],
)
def test_numbers(row: Sequence[Any], number: float) -> None:
    assert number_of(row) == number


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "returned no row"),
        ((), "returned no row"),
        ((None,), r"returned NULL.*COALESCE"),
        (("many",), "a str that is no number"),
        ((b"\xff",), "no number"),
        ((True,), "a bool"),
        ((float("nan"),), "no number"),
        ((decimal.Decimal("Infinity"),), "a Decimal"),
        (([1],), "a list"),
    ],
)
def test_what_is_no_number_is_not_zero(row: Sequence[Any] | None, words: str) -> None:
    with pytest.raises(TemporaryError, match=words):
        number_of(row)
