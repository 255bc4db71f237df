"""Durations as typed."""

from __future__ import annotations

import pytest

from pilotlight.cli.logs import parse_duration_s
from pilotlight.cli.session import UsageProblem


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("5m", 300), ("2h", 7200)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5s", "1d", "5 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="no duration"):
        parse_duration_s(text)
