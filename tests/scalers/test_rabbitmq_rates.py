"""From counts to readings: operations, smooth rates, modes. With upstream's rows where they have one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clients.rabbitmq_terms import QueueCounts
from scalers.rabbitmq_parameters import Mode, Operation
from scalers.rabbitmq_rates import ENDLESS, SMOOTHING_S, Backlog, Measure, Rate, compose, follow, judge
from scalers.readings import Quality, Reading

LENGTH, PUBLISHED, DELIVERED, RATIO, TIME = Mode
NUMBERS = st.integers(0, 10**6)
RATES = st.floats(0, 10**5)


def rate(value: float) -> Rate:
    return follow(None, value, 0.0)


def judged(
    mode: Mode, messages: float, p: float, d: float, *, value: float = 10.0, activation: float = 0.0, **more: float
) -> Reading:
    backlog = Backlog(messages, more.get("ready", messages), p, d, messages - more.get("ready", messages))
    measure = Measure(mode, value, activation, bool(more.get("exclude")))
    return judge(measure, backlog, rate(p), rate(d))


@pytest.mark.parametrize(
    ("mode", "messages", "p", "d", "activation", "value", "active"),
    [
        pytest.param(LENGTH, 4, 1.4, 0.8, 0, 4, True, id="length"),
        pytest.param(LENGTH, 0, 1.4, 2, 0, 0, False, id="length of an empty queue"),
        pytest.param(LENGTH, 4, 0, 0, 4, 4, False, id="length, not above the activation value"),
        pytest.param(PUBLISHED, 0, 1.4, 0, 0, 1.4, True, id="published"),
        pytest.param(PUBLISHED, 4, 0, 1.3, 0, 0, True, id="published: messages are active, too"),
        pytest.param(PUBLISHED, 0, 0, 0, 0, 0, False, id="published: nothing"),
        pytest.param(PUBLISHED, 3, 2, 0, 5, 2, False, id="published: too little"),
        pytest.param(DELIVERED, 30, 5, 1, 0, 1, True, id="delivered"),
        pytest.param(DELIVERED, 0, 0, 0, 0, 0, False, id="delivered: nothing"),
        pytest.param(DELIVERED, 0, 0, 18.5, 20, 18.5, False, id="delivered: too little"),
        pytest.param(RATIO, 10, 6, 2, 0, 3, True, id="ratio"),
        pytest.param(RATIO, 0, 0, 2, 0, 0, False, id="ratio: nothing comes"),
        pytest.param(RATIO, 0, 0, 0, 0, 0, False, id="ratio: nothing at all"),
        pytest.param(RATIO, 10, 2, 4, 0.5, 0.5, False, id="ratio: too little"),
        pytest.param(RATIO, 10, 0, 4, 0, 0, True, id="ratio: what is left is work"),
        pytest.param(TIME, 0, 0, 0, 1, 0, False, id="time of an empty idle queue"),
        pytest.param(TIME, 0, 0, 2, 1, 0, False, id="time of an empty queue whose rate decays"),
        pytest.param(TIME, 100, 3, 8, 1, 20, True, id="time to drain: M/(d-p)"),
        pytest.param(TIME, 4, 0, 2, 1, 2, True, id="time when publishing has stopped (upstream: 1)"),
        pytest.param(TIME, 20, 8, 8, 1, 2.5, True, id="time, kept up with: M/d"),
    ],
)
def test_modes(mode: Mode, messages: float, p: float, d: float, activation: float, value: float, active: bool) -> None:
    reading = judged(mode, messages, p, d, activation=activation)
    assert reading.value == pytest.approx(value)
    assert (reading.activity > activation) is active
    assert reading.quality is Quality.WHOLE


@pytest.mark.parametrize("mode", [DELIVERED, RATIO, TIME])
@pytest.mark.parametrize("activation", [0.0, 7.0])
def test_messages_that_nobody_takes_are_demand(mode: Mode, activation: float) -> None:
    """Upstream reports the activation value, or nothing."""
    reading = judged(mode, 3, 1, 0, value=10, activation=activation)
    assert reading.value == 10  # one replica at least
    assert reading.activity > activation
    assert reading.quality is Quality.PARTIAL  # and no reason for fewer
    assert "nobody takes any: one replica at least" in reading.note


def test_a_queue_that_grows_is_never_empty() -> None:
    reading = judged(TIME, 1000, 9, 8, value=60)
    assert reading.value == ENDLESS * 60
    assert reading.note.startswith("never empty: 9 messages a second come and 8 go")
    assert judged(TIME, 1000, 7.9999999999, 8, value=60).value <= ENDLESS * 60


def test_what_consumers_hold_is_in_flight() -> None:
    assert judged(LENGTH, 10, 0, 0, ready=6).in_flight == 4
    reading = judged(LENGTH, 10, 0, 0, ready=6, exclude=1)
    assert (reading.value, reading.in_flight) == (6, None)


def queue(name: str, messages: int = 0, ready: int = 0, p: float = 0, d: float = 0) -> QueueCounts:
    return QueueCounts(name, messages, ready, messages - ready, p, d, 10.0 * messages, 5.0 * messages)


@pytest.mark.parametrize(
    ("operation", "queues", "expected"),
    [
        pytest.param(Operation.SUM, [], (0, 0, 0, 0), id="no queue"),
        pytest.param(Operation.MAX, [], (0, 0, 0, 0), id="no maximum"),
        pytest.param(Operation.SUM, [queue("a", 10, 4, 2, 6), queue("b", 20, 8, 4, 2)], (30, 12, 6, 8), id="sum"),
        pytest.param(Operation.AVG, [queue("a", 10, 4, 2, 6), queue("b", 20, 8, 4, 2)], (15, 6, 3, 4), id="average"),
        pytest.param(Operation.AVG, [queue("a", 5, 3), queue("b", 6, 4)], (5.5, 3.5, 0, 0), id="average, not cut"),
        pytest.param(Operation.MAX, [queue("a", 30, 5, 1, 9), queue("b", 10, 10, 7, 3)], (30, 10, 7, 9), id="maximum"),
    ],
)
def test_operations(operation: Operation, queues: list[QueueCounts], expected: tuple[float, ...]) -> None:
    found = compose(queues, operation)
    assert (found.messages, found.ready, found.publish_rate, found.deliver_rate) == expected
    assert found.in_flight == sum(each.unacknowledged for each in queues)
    assert found.published == (sum(10.0 * each.messages for each in queues) if queues else None)


def test_a_queue_that_is_not_counted_makes_the_rest_a_lower_bound() -> None:
    found = compose([queue("a", 3, 3), QueueCounts("b", trouble="queue b: it is down")], Operation.SUM)
    reading = judge(Measure(LENGTH, 10, 0), found, rate(0), rate(0))
    assert (reading.value, reading.quality, reading.note) == (3, Quality.PARTIAL, "queue b: it is down")


def test_counters_of_queues_are_summed_only_when_all_count() -> None:
    assert compose([queue("a", 3), QueueCounts("b", 1, 1)], Operation.SUM).published is None


def test_rates_are_smooth_but_for_the_first() -> None:
    first = follow(None, 50.0, 100.0)
    assert first.smooth == 50
    later = follow(first, 0.0, 100.0 + SMOOTHING_S)
    assert later.smooth == pytest.approx(50 / math.e)
    assert later.reported == 0
    assert follow(later, 0.0, 300.0).smooth == 0  # in the end there is none
    assert follow(follow(later, 0.0, 300.0), 8.0, 301.0).smooth == 8  # and one that begins anew is believed


@given(st.lists(st.tuples(RATES, st.floats(0, 60)), min_size=1, max_size=20))
def test_a_smooth_rate_stays_between_the_least_and_the_greatest(rates: list[tuple[float, float]]) -> None:
    now, found = 0.0, None
    for value, pause in rates:
        now += pause
        found = follow(found, value, now)
    assert found is not None
    assert 0 <= found.smooth <= max(value for value, _ in rates) * (1 + 1e-9)


@given(st.sampled_from(Mode), NUMBERS, NUMBERS, RATES, RATES, st.floats(0.001, 1000), st.floats(0, 100))
def test_never_nothing_where_there_is_work(
    mode: Mode, messages: int, ready: int, p: float, d: float, value: float, activation: float
) -> None:
    """Without an activation value messages are activity, whatever the mode; numbers are finite and none is negative."""
    backlog = Backlog(messages + ready, ready, p, d, messages)
    reading = judge(Measure(mode, value, activation), backlog, rate(p), rate(d))
    assert math.isfinite(reading.value)
    assert math.isfinite(reading.activity)
    assert reading.value >= 0
    plain = judge(Measure(mode, value, 0.0), backlog, rate(p), rate(d))
    assert (plain.activity > 0) or not backlog.messages


@given(st.integers(1, 10**6), st.integers(0, 1000), RATES, st.floats(0.1, 10**5), st.floats(0.1, 1000))
def test_more_messages_never_take_less_time(messages: int, more: int, p: float, d: float, value: float) -> None:
    assert judged(TIME, messages + more, p, d, value=value).value >= judged(TIME, messages, p, d, value=value).value
