"""Where the time went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.ledger import Ledger, Timeline, account, parse_timeline

TIMES = st.floats(0, 10)


@given(st.lists(TIMES, min_size=3, max_size=3).map(sorted), st.lists(TIMES, min_size=3, max_size=3).map(sorted))
def test_the_parts_sum_up_to_the_whole(request: list[float], start: list[float]) -> None:
    arrived, sent, answered = request
    ledger = account(arrived, sent, answered, Timeline(*start))
    parts = (ledger.queue, ledger.decide, ledger.start, ledger.ready, ledger.app)
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(answered - arrived)


CASES = {
    "the first request": (Timeline(10.1, 10.3, 10.6), Ledger(0.1, 0.1, 0.2, 0.3, 0.3, True)),
    "came when the start was half done": (Timeline(9.0, 10.2, 10.6), Ledger(0.1, 0.0, 0.2, 0.4, 0.3, True)),
    "waited for a slot of an instance that was there": (Timeline(8, 9, 9.5), Ledger(0.7, 0, 0, 0, 0.3, False)),
    "no timeline": (None, Ledger(0.7, 0, 0, 0, 0.3, False)),
}


@pytest.mark.parametrize(("timeline", "expected"), CASES.values(), ids=CASES)
def test_phases(timeline: Timeline | None, expected: Ledger) -> None:
    ledger = account(10.0, 10.7, 11.0, timeline)
    assert ledger.cold is expected.cold
    for phase in ("queue", "decide", "start", "ready", "app"):
        assert getattr(ledger, phase) == pytest.approx(getattr(expected, phase)), phase


def test_the_field() -> None:
    cold = Ledger(0.0003, 0.0004, 0.017, 0.003, 0.003, True).field()
    assert cold == (
        b"Server-Timing: cold, queue;dur=0.300, decide;dur=0.400, start;dur=17.000, ready;dur=3.000, app;dur=3.000\r\n"
    )
    assert Ledger(0, 0, 0, 0, 0.001, False).field() == b"Server-Timing: queue;dur=0.000, app;dur=1.000\r\n"


@pytest.mark.parametrize(
    ("text", "timeline"),
    [("created=1.5,started=2.5,ready=3.5", Timeline(1.5, 2.5, 3.5)), ("ready=3,created=1", None), ("", None),
     ("created=x,started=2,ready=3", None), (" started=2, created=1, ready=3, thawed=9", Timeline(1, 2, 3))],
)  # fmt: skip
def test_parse_timeline(text: str, timeline: Timeline | None) -> None:
    assert parse_timeline(text) == timeline
