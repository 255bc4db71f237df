"""Durations as typed."""

from __future__ import annotations

import pytest

from pilotlight.cli.logs import idle_words, parse_duration_s
from pilotlight.cli.session import UsageProblem


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("5m", 300), ("2h", 7200)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5s", "1d", "5 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="no duration"):
        parse_duration_s(text)


def test_a_service_that_failed_is_not_said_to_sleep() -> None:
    failed = {
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "RevisionFailed", "message": "no"}]}
    }
    assert idle_words(failed) == ": RevisionFailed: no"
    assert idle_words({}) == " (it sleeps): its logs begin with its next request"
