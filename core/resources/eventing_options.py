"""What a user may ask of eventing by annotation: one table, from which values, refusals and hints come.

Admission refuses a value that cannot be read (`check_options`) and hints at names that nobody reads (`warn_options`);
controllers read them all at once (`broker_options`, `subscription_options`). An annotation of Knative's own brokers
that means the same is an alias; ours wins over it, and a wrong value of it is ignored, as there. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeVar

from core.resources import pilotlight
from core.resources.eventing_labels import KAFKA_ORDER_ANNOTATION, RABBITMQ_PARALLELISM_ANNOTATION
from core.resources.knative_errors import Errors, invalid
from core.resources.meta import Json
from core.resources.quantities import whole_units
from core.resources.timestamps import epoch_of
from core.settings.iso_durations import parse_iso_duration

PARALLELISM_MAX: Final = 1000  # as RabbitMQ's broker and source have it
_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9]*", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)


class SchemaMode(StrEnum):
    """What becomes of an event that breaks its schema."""

    IGNORE = "ignore"
    WARN = "warn"  # accepted, and told of
    REFUSE = "refuse"  # 422 to its producer
    DEAD_LETTER = "dead-letter"  # 202, but only dead letters get it


class Order(StrEnum):
    ORDERED = "ordered"
    UNORDERED = "unordered"


class StartRule(StrEnum):
    NOW = "now"
    EARLIEST = "earliest"
    TIME = "time"
    OFFSET = "offset"


@dataclass(frozen=True, slots=True)
class Start:
    """Where a new subscription begins: `at` is seconds since the epoch with TIME, an offset with OFFSET."""

    rule: StartRule = StartRule.NOW
    at: float | int = 0


def _start(text: str) -> Start:
    if text in (StartRule.NOW, StartRule.EARLIEST):
        return Start(StartRule(text))
    if _DIGITS.fullmatch(text):
        return Start(StartRule.OFFSET, int(text))
    if (moment := epoch_of(text)) is not None:
        return Start(StartRule.TIME, moment)
    raise ValueError


def _positive_duration(text: str) -> float:
    if (seconds := parse_iso_duration(text)) > 0:
        return seconds
    raise ValueError


def _duration(text: str) -> float:
    if (seconds := parse_iso_duration(text)) >= 0:
        return seconds
    raise ValueError


def _share(text: str) -> float:
    if 0 <= (share := float(text)) <= 1:
        return share
    raise ValueError


def _rate(text: str) -> float:
    if 0 < (rate := float(text)) < 1e9:
        return rate
    raise ValueError


def _bytes(text: str) -> int:
    if (count := whole_units(text)) > 0:
        return count
    raise ValueError


def _count(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if _DIGITS.fullmatch(text) and 1 <= int(text) <= most:
            return int(text)
        raise ValueError

    return read


def _attribute(text: str) -> str:
    if _ATTRIBUTE.fullmatch(text):
        return text
    raise ValueError


def _truth(text: str) -> bool:
    if text in ("true", "false"):
        return text == "true"
    raise ValueError


@dataclass(frozen=True, slots=True)
class _Option:
    name: str
    read: Callable[[str], Any]  # ValueError
    allowed: str  # the end of a sentence: `must be …`
    alias: str = ""


def _option(name: str, read: Callable[[str], Any], default: Any, allowed: str, alias: str = "") -> Any:
    return field(default=default, metadata={"option": _Option(name, read, allowed, alias)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryOptions:
    """Of everything with a delivery policy."""

    backoff_jitter: float | None = _option(pilotlight.BACKOFF_JITTER, _share, None, "a number from 0 to 1, such as 0.2")
    backlog_max: int | None = _option(pilotlight.BACKLOG_MAX, _count(10**12), None, "a number of events, at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions(DeliveryOptions):
    """Of a Broker or a channel."""

    deduplicate_s: float | None = _option(
        pilotlight.DEDUPLICATE, _positive_duration, None, "an ISO 8601 duration above zero, such as PT10M"
    )
    retention_age_s: float | None = _option(
        pilotlight.RETENTION_AGE, _positive_duration, None, "an ISO 8601 duration above zero, such as P7D"
    )
    retention_bytes: int | None = _option(
        pilotlight.RETENTION_BYTES, _bytes, None, "a quantity of bytes above zero, such as 10Gi"
    )
    schema_mode: SchemaMode = _option(
        pilotlight.SCHEMA_MODE, SchemaMode, SchemaMode.WARN, "one of ignore, warn, refuse, dead-letter"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionOptions(DeliveryOptions):
    """Of a Trigger or a Subscription."""

    start: Start = _option(
        pilotlight.START, _start, Start(), "now, earliest, an offset, or an RFC 3339 time such as 2026-01-31T09:00:00Z"
    )
    keep_cursor: bool = _option(pilotlight.KEEP_CURSOR, _truth, False, "true or false")
    order: Order = _option(
        pilotlight.DELIVERY_ORDER, Order, Order.UNORDERED, "ordered or unordered", KAFKA_ORDER_ANNOTATION
    )
    order_key: str = _option(
        pilotlight.ORDER_KEY, _attribute, "partitionkey", "the name of an attribute: lower-case letters and digits"
    )
    parallelism: int | None = _option(
        pilotlight.PARALLELISM,
        _count(PARALLELISM_MAX),
        None,
        f"a number from 1 to {PARALLELISM_MAX}",
        RABBITMQ_PARALLELISM_ANNOTATION,
    )
    rate_limit: float | None = _option(pilotlight.RATE_LIMIT, _rate, None, "events per second, above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class PingOptions(DeliveryOptions):
    """Of a PingSource."""

    wake_ahead_s: float = _option(
        pilotlight.WAKE_AHEAD, _duration, 1.0, "an ISO 8601 duration, such as PT1S; PT0S does not wake"
    )


Options = TypeVar("Options", bound=DeliveryOptions)


def read_options(kind: type[Options], annotations: Mapping[str, str]) -> Options:
    """All options of an object, defaults where it says nothing that can be read."""
    found: dict[str, Any] = {}
    for name, option in _options(kind):
        for spelling in (option.name, option.alias):
            if spelling and spelling in annotations and name not in found:
                try:
                    found[name] = option.read(annotations[spelling])
                except ValueError:
                    continue
    return kind(**found)


def check_options(kind: type[DeliveryOptions], obj: Json) -> Errors:
    """Values of ours that cannot be read, by path from the object."""
    annotations = obj["metadata"].get("annotations") or {}
    errors: Errors = []
    for _, option in _options(kind):
        if option.name not in annotations:
            continue
        try:
            option.read(annotations[option.name])
        except ValueError:
            path = f"metadata.annotations[{option.name}]"
            errors += invalid(annotations[option.name], path, f"must be {option.allowed}")
    return errors


def warn_options(kind: type[DeliveryOptions], obj: Json) -> Sequence[str]:
    """Names under our prefix that nobody reads here, with the nearest one that somebody does."""
    known = [option.name.removeprefix(pilotlight.PREFIX) for _, option in _options(kind)]
    warnings = []
    for name in obj["metadata"].get("annotations") or {}:
        own = name.removeprefix(pilotlight.PREFIX)
        if own != name and own not in known:
            near = difflib.get_close_matches(own, known, n=1)
            hint = f"; did you mean {pilotlight.PREFIX}{near[0]}?" if near else ""
            warnings.append(f"metadata.annotations[{name}]: has no effect on this kind{hint}")
    return warnings


def _options(kind: type[DeliveryOptions]) -> Sequence[tuple[str, _Option]]:
    return [(each.name, each.metadata["option"]) for each in fields(kind)]
