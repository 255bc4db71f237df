"""From what RabbitMQ counts to a reading: operations over several queues, rates made smooth, and the modes. Pure.

With M messages, p published and d delivered a second, after pkg/scalers/rabbitmq_scaler.go. Where nobody consumes
(d = 0) the time or ratio that is asked for has no value. KEDA then reports the activation value, which may be nothing;
here it is demand for one replica at least, and no reason to have fewer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.clients.rabbitmq_terms import QueueCounts
from scalers.rabbitmq_parameters import Mode, Operation
from scalers.readings import Quality, Reading

SMOOTHING_S: Final = 10.0
"""The time constant of rates: RabbitMQ's own are of intervals of 5 s, and jump (keda#4507)."""
STILL: Final = 0.001
"""A rate below it, in messages a second, is none."""
ENDLESS: Final = 1_000_000.0
"""How many times the value of one replica a queue counts that is never going to be empty: more than any maximum."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate as it was reported last, and made smooth."""

    reported: float
    smooth: float
    at: float  # monotonic seconds


def follow(before: Rate | None, reported: float, now: float) -> Rate:
    """The first rate, and the first after a standstill, count as they are."""
    reported = reported if reported >= STILL else 0.0
    if before is None or before.smooth == 0.0:
        return Rate(reported, reported, now)
    weight = 1.0 - math.exp(-max(0.0, now - before.at) / SMOOTHING_S)
    smooth = before.smooth + weight * (reported - before.smooth)
    return Rate(reported, smooth if smooth >= STILL else 0.0, now)


@dataclass(frozen=True, slots=True)
class Backlog:
    """One or several queues as one. `in_flight`, `published` and `acknowledged` are sums, whatever the operation."""

    messages: float
    ready: float
    publish_rate: float
    deliver_rate: float
    in_flight: float
    published: float | None = None
    acknowledged: float | None = None
    unknown: tuple[str, ...] = ()  # what could not be counted


def compose(queues: Sequence[QueueCounts], operation: Operation) -> Backlog:
    """Each number by itself. Queues that are not counted are named, and left out."""
    known = [each for each in queues if not each.trouble]

    def of(values: list[float]) -> float:
        if not values:
            return 0.0
        if operation is Operation.MAX:
            return float(max(values))
        return math.fsum(values) / (len(values) if operation is Operation.AVG else 1)

    return Backlog(
        of([each.messages for each in known]),
        of([each.ready for each in known]),
        of([each.publish_rate for each in known]),
        of([each.deliver_rate for each in known]),
        math.fsum(each.unacknowledged for each in known),
        _total([each.published for each in known]),
        _total([each.acknowledged for each in known]),
        tuple(each.trouble for each in queues if each.trouble),
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """What a trigger asks for: `value` is what one replica takes, `activation` what is too little to wake one."""

    mode: Mode
    value: float
    activation: float
    exclude_unacknowledged: bool = False


def judge(measure: Measure, backlog: Backlog, published: Rate, delivered: Rate) -> Reading:
    """`published` and `delivered` are the backlog's rates, as `follow` made them."""
    messages = backlog.ready if measure.exclude_unacknowledged else backlog.messages
    reading = _MODES[measure.mode](measure, messages, published, delivered)
    reading = replace(
        reading,
        in_flight=None if measure.exclude_unacknowledged else backlog.in_flight,
        produced=backlog.published,
        consumed=backlog.acknowledged,
    )
    if not backlog.unknown:
        return reading
    note = "; ".join(filter(None, (reading.note, *backlog.unknown[:3])))
    return replace(reading, quality=Quality.PARTIAL, note=note)


def _queue_length(measure: Measure, messages: float, published: Rate, delivered: Rate) -> Reading:
    return Reading(messages)


def _message_rate(measure: Measure, messages: float, published: Rate, delivered: Rate) -> Reading:
    return Reading(published.smooth, max(published.reported, messages))


def _deliver_get_rate(measure: Measure, messages: float, published: Rate, delivered: Rate) -> Reading:
    if delivered.smooth == 0.0 and messages:
        return _unserved(measure, f"{messages:g} messages, and nobody takes any")
    return Reading(delivered.smooth, _activity(measure, delivered.reported, messages))


def _ratio(measure: Measure, messages: float, published: Rate, delivered: Rate) -> Reading:
    if delivered.smooth > 0.0:
        ratio = published.smooth / delivered.smooth
        return Reading(ratio, _activity(measure, ratio if published.reported else 0.0, messages))
    if published.reported or messages:
        return _unserved(measure, f"{messages:g} messages, {published.reported:g} more a second, and nobody takes any")
    return Reading(0.0)


def _consumption_time(measure: Measure, messages: float, published: Rate, delivered: Rate) -> Reading:
    """How long until the queue is empty: M / (d - p), which is endless where p >= d.

    A backlog that is consumed within `value` anyway counts as that, M / d, whatever comes after it: where consumers
    keep up, p = d, and the queue is never empty for long.
    """
    if not messages:
        return Reading(0.0)
    p, d = published.smooth, delivered.smooth
    if d == 0.0:
        return _unserved(measure, f"{messages:g} messages, and nobody takes any")
    waiting = messages / d
    if waiting <= measure.value:
        return Reading(waiting, note=f"{messages:g} messages at {d:.4g} a second")
    if p < d:
        return Reading(
            min(messages / (d - p), ENDLESS * measure.value),
            note=f"{messages:g} messages at {d:.4g} a second, with {p:.4g} a second to come",
        )
    return Reading(
        ENDLESS * measure.value,
        note=f"never empty: {p:.4g} messages a second come and {d:.4g} go; counted as a million times the value",
    )


def _activity(measure: Measure, rate: float, messages: float) -> float:
    """Messages keep a replica there, too, unless an activation value says how much of a rate does."""
    return max(rate, messages) if measure.activation == 0.0 else rate


def _unserved(measure: Measure, why: str) -> Reading:
    """Work that nobody does: one replica's worth at least. How much more cannot be known before somebody does it."""
    return Reading(measure.value, measure.activation + 1.0, Quality.PARTIAL, note=f"{why}: one replica at least")


_MODES: Final = {
    Mode.QUEUE_LENGTH: _queue_length,
    Mode.MESSAGE_RATE: _message_rate,
    Mode.DELIVER_GET_RATE: _deliver_get_rate,
    Mode.PUBLISHED_TO_DELIVERED_RATIO: _ratio,
    Mode.EXPECTED_QUEUE_CONSUMPTION_TIME: _consumption_time,
}


def _total(values: Sequence[float | None]) -> float | None:
    """None where one is not counted: a sum that jumps by what it did not count before is worth nothing."""
    known = [each for each in values if each is not None]
    return math.fsum(known) if known and len(known) == len(values) else None
