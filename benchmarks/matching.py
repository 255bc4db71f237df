"""What it costs to find out which Triggers an event is for: 1,000 exact ones, and one CESQL expression.

The yardstick of the first is asking all 1,000 filters one by one, as brokers without an index do. Measured in CPU time
of this process, each several times in turns, the best of each: others on the machine only ever add to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.report import Row
from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.filters.dialects import compile_filters
from eventing.matching import Matcher

TRIGGERS = 1000
TYPES = 250  # so that four Triggers share a type, as in a broker with several consumers of each
EXACT_BAR_US = 20.0
CESQL_BAR_US = 5.0
CESQL = "type = 'a' AND subject LIKE 'x%'"


def event(number: int) -> Event:
    attributes = {
        "specversion": "1.0",
        "id": f"{number}",
        "source": f"/shops/{number % 7}",
        "type": f"com.example.orders.{number % TYPES}",
        "subject": f"orders/{number}",
        "time": "2026-01-02T03:04:05Z",
        "datacontenttype": "application/json",
    }
    return Event(dict(attributes))


def compiled(spec: dict[str, Any]) -> Filter:
    filters = compile_filters(spec)
    assert isinstance(filters, Filter)
    return filters


def exact_triggers() -> dict[str, Filter]:
    """Half by type alone, half by type and source; half as `filters`, half as `filter.attributes`."""
    triggers = {}
    for number in range(TRIGGERS):
        wanted = {"type": f"com.example.orders.{number % TYPES}"}
        if number % 2:
            wanted["source"] = f"/shops/{number % 7}"
        exact = {"filters": [{"exact": wanted}]}
        triggers[f"trigger-{number}"] = compiled(exact if number % 4 < 2 else {"filter": {"attributes": wanted}})
    return triggers


def microseconds(work: Callable[[Event], Any], events: list[Event]) -> float:
    began = time.process_time()
    for each in events:
        work(each)
    return (time.process_time() - began) / len(events) * 1e6


def best_of(turns: int, *pairs: tuple[Callable[[Event], Any], list[Event]]) -> list[float]:
    """The least of several measurements of each, taken in turns."""
    rounds = [[microseconds(work, events) for work, events in pairs] for _ in range(turns)]
    return [min(column) for column in zip(*rounds, strict=True)]


def measure() -> list[Row]:
    triggers = exact_triggers()
    matcher = Matcher(triggers)
    events = [event(number) for number in range(5000)]
    few = events[:50]

    def naive(each: Event) -> list[str]:
        return [key for key, trigger in triggers.items() if trigger.matches(each)]

    assert [matcher.match(each) for each in few] == [naive(each) for each in few]
    cesql = compiled({"filters": [{"cesql": CESQL}]})
    passing = [Event({**each.attributes, "type": "a", "subject": "xyz"}) for each in events]
    indexed, one_by_one, expression = best_of(7, (matcher.match, events), (naive, few), (cesql.matches, passing))
    return [
        Row(
            f"matching an event, {TRIGGERS} exact triggers",
            f"≤ {EXACT_BAR_US:.0f} µs",
            f"{indexed:.2f} µs",
            indexed <= EXACT_BAR_US,
            yardstick=f"one by one {one_by_one:.0f} µs, {one_by_one / indexed:.0f} times as much",
            numbers={"us": indexed, "one_by_one_us": one_by_one, "ratio": one_by_one / indexed},
        ),
        Row(
            f"CESQL `{CESQL}`",
            f"≤ {CESQL_BAR_US:.0f} µs",
            f"{expression:.2f} µs",
            expression <= CESQL_BAR_US,
            numbers={"us": expression},
        ),
    ]
