from __future__ import annotations

from dataclasses import dataclass

import pytest

from autoscaler.jobs.rounds import is_complete


@dataclass
class Asked:
    asked_at: float | None
    read_at: float = 0.0
    error: str = ""


@pytest.mark.parametrize(
    ("triggers", "complete"),
    [
        pytest.param([], True, id="none"),
        pytest.param([Asked(None)], False, id="never asked"),
        pytest.param([Asked(11.0, 9.0)], False, id="being asked"),
        pytest.param([Asked(11.0, 11.5)], True, id="answered"),
        pytest.param([Asked(9.0, 11.5)], False, id="asked before, answered since: Jobs may have taken what it counted"),
        pytest.param([Asked(9.0, 9.5, "down")], True, id="failing ones are not waited for"),
        pytest.param([Asked(11.0, 11.5), Asked(9.0, 9.5)], False, id="one of two"),
    ],
)
def test_is_complete(triggers: list[Asked], complete: bool) -> None:
    assert is_complete(triggers, since=10.0) is complete
