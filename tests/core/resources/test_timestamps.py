"""Moments go to text and back."""

from __future__ import annotations

import pytest

from core.resources.timestamps import epoch_of, rfc3339


def test_whole_seconds_in_utc() -> None:
    assert rfc3339(1_700_000_000.9) == "2023-11-14T22:13:20Z"
    assert epoch_of("2023-11-14T22:13:20Z") == 1_700_000_000.0
    assert epoch_of("2023-11-15T00:13:20.500+02:00") == 1_700_000_000.5


@pytest.mark.parametrize("text", ["", "yesterday", "2023-11-14T22:13:20"])
def test_anything_else_is_no_moment(text: str) -> None:
    assert epoch_of(text) is None
