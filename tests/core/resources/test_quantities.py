"""Quantities and percentages."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.quantities import milli_units, parse_quantity, scaled, spell_milli, whole_units


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("2", 2), (3, 3), (0.5, "0.5"), ("500m", "0.5"), ("1.5", "1.5"), (".5", "0.5"), ("-1", -1),
        ("128Mi", 134217728), ("1Ki", 1024), ("1k", 1000), ("2G", 2_000_000_000), ("1e3", 1000), ("1E3", 1000),
        ("1E", 10**18), ("1Ei", 2**60), ("100n", "1e-7"), ("5u", "0.000005"), ("+3", 3), ("1.", 1),
    ],
)  # fmt: skip
def test_quantities(text: str | int | float, value: int | str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "x", "1 Mi", "1mi", "1KI", "--1", "1e", "Mi", "1.2.3", "0x10", "1kk"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


def test_units_round_up_as_upstream() -> None:
    assert whole_units("1.1") == 2
    assert whole_units("100m") == 1
    assert milli_units("0.0001") == 1
    assert milli_units("2") == 2000


@given(st.integers(0, 10**12))
def test_a_number_and_its_thousandfold_in_milli_are_the_same(number: int) -> None:
    assert parse_quantity(f"{number * 1000}m") == number
    assert milli_units(number) == number * 1000


def test_percentages_round_as_they_are_told() -> None:
    assert scaled(3, 10, round_up=True) == 3
    assert scaled("25%", 10, round_up=True) == 3
    assert scaled("25%", 10, round_up=False) == 2
    with pytest.raises(ValueError, match="percentage"):
        scaled("25", 10, round_up=True)


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [(0, "0"), (1, "1m"), (500, "500m"), (1000, "1"), (1500, "1500m"), (10_000, "10"), (1_000_000, "1k"),
     (1_500_000, "1500"), (12_000_000_000, "12M"), (-2000, "-2")],
)  # fmt: skip
def test_thousandths_are_spelled_as_kubernetes_does(thousandths: int, text: str) -> None:
    assert spell_milli(thousandths) == text


@given(st.integers(-(10**18), 10**18))
def test_what_is_spelled_is_read_again(thousandths: int) -> None:
    assert parse_quantity(spell_milli(thousandths)) * 1000 == thousandths
