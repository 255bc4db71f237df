"""ISO 8601 durations, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings.iso_durations import format_iso_duration, parse_iso_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0.2S", 0.2), ("PT0,2S", 0.2), ("PT1S", 1), ("PT0S", 0), ("PT1M30S", 90), ("PT2H", 7200), ("P1D", 86400),
        ("P1DT2H", 93600), ("P2W", 1209600), ("-PT1S", -1), ("+PT1S", 1), ("PT168H", 604800), ("P1Y", 31556952),
    ],
)  # fmt: skip
def test_reads(text: str, seconds: float) -> None:
    assert parse_iso_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "1S", "PT1", "P1S", "pt1s", "10s", "PT1S ", "P1DT", "PTS", "PT1.S", "--PT1S"]
)
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_iso_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "PT0S"), (0.2, "PT0.2S"), (90, "PT1M30S"), (604800, "P7D"), (93600, "P1DT2H"), (-1, "-PT1S"), (60, "PT1M")],
)
def test_writes(seconds: float, text: str) -> None:
    assert format_iso_duration(seconds) == text


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert parse_iso_duration(format_iso_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)
