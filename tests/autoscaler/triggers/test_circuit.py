"""autoscaler/triggers/circuit.py: every row of its table, the pauses, and failures counted in polls."""

from __future__ import annotations

import pytest

from autoscaler.triggers import circuit
from autoscaler.triggers.circuit import (
    OPEN_AFTER,
    TABLE,
    WHOLE,
    Happening,
    State,
    ask,
    fail,
    missed,
    next_missed_at,
    pause,
)


def test_the_table_is_whole() -> None:
    assert set(TABLE) == {(state, happening) for state in State for happening in Happening}
    printed = {
        line.split()[0]: line.split()[1:]
        for line in circuit.__doc__.splitlines()
        if line.strip().startswith(tuple(State))
    }
    order = (Happening.ANSWERED, Happening.FAILED, Happening.FAILED_OFTEN, Happening.ASKED)
    assert printed == {state.value: [TABLE[state, each].value for each in order] for state in State}


def test_it_opens_is_tried_and_opens_again() -> None:
    states, now = [], 0.0
    found = WHOLE
    for _ in range(5):
        found = ask(found)
        states.append(found.state)
        found = fail(found, now, 5.0)
        states.append(found.state)
        now = found.ask_at
    assert states[: 2 * OPEN_AFTER - 1] == [State.CLOSED] * (2 * OPEN_AFTER - 1)
    assert states[2 * OPEN_AFTER - 1 :] == [State.OPEN, State.HALF_OPEN, State.OPEN, State.HALF_OPEN, State.OPEN]


@pytest.mark.parametrize(
    ("polling_s", "pauses"),
    [
        pytest.param(0.2, [1, 2, 4, 8, 16, 30, 30], id="fast polling is relieved"),
        pytest.param(30.0, [1, 2, 4, 8, 16, 30, 30], id="the default"),
        pytest.param(120.0, [1, 2, 4, 8, 16, 32, 64, 120, 120], id="never seldomer than asked for"),
    ],
)
def test_pauses(polling_s: float, pauses: list[float]) -> None:
    assert [pause(failed, polling_s) for failed in range(1, len(pauses) + 1)] == pauses
    assert pause(10_000, polling_s) == pauses[-1]


def test_failures_are_polls_however_often_it_was_asked() -> None:
    found = WHOLE
    assert missed(found, 100.0, 30.0) == 0
    for now in (100.0, 101.0, 103.0, 107.0, 115.0):
        found = fail(found, now, 30.0)
        assert missed(found, now, 30.0) == 1
    assert next_missed_at(found, 115.0, 30.0) == 130.0
    assert [missed(found, now, 30.0) for now in (129.9, 130.0, 159.0, 160.0, 190.0)] == [1, 2, 2, 3, 4]
