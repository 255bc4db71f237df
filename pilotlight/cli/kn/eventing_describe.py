"""What `list` and `describe` say of eventing's kinds: objects in, lines out. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core.resources.ages import age_of
from core.resources.eventing import attribute_values
from core.resources.eventing_labels import BROKER_CLASS_ANNOTATION, PILOTLIGHT_CLASS
from core.resources.meta import Json, Kind
from pilotlight.cli.kn.describe import condition_lines, count_ok, head_lines, ready
from pilotlight.cli.kn.eventing_edits import sink_text

BROKER_HEADER = ("NAME", "URL", "AGE", "CONDITIONS", "READY", "REASON")
TRIGGER_HEADER = ("NAME", "BROKER", "SINK", "AGE", "CONDITIONS", "READY", "REASON")
CHANNEL_HEADER = ("NAME", "TYPE", "URL", "AGE", "READY", "REASON")
SUBSCRIPTION_HEADER = ("NAME", "CHANNEL", "SUBSCRIBER", "REPLY", "DEAD LETTER SINK", "READY", "REASON")
EVENT_TYPE_HEADER = ("NAME", "TYPE", "SOURCE", "REFERENCE", "DESCRIPTION", "READY", "REASON")
PING_HEADER = ("NAME", "SCHEDULE", "SINK", "AGE", "CONDITIONS", "READY", "REASON")
SOURCE_HEADER = ("NAME", "SINK", "AGE", "CONDITIONS", "READY", "REASON")
SOURCES_HEADER = ("NAME", "TYPE", "RESOURCE", "SINK", "READY")

Fact = tuple[str, Callable[[Json], Any]]
"""A label, and what stands behind it: text, several lines, or nothing."""


def broker_row(broker: Json, now: float) -> Sequence[str]:
    return (*_name(broker), _url(broker), _age(broker, now), count_ok(broker), *_ready(broker))


def trigger_row(trigger: Json, now: float) -> Sequence[str]:
    sink = _sink(trigger, "subscriber")
    return (
        *_name(trigger), broker_of(trigger), sink, _age(trigger, now), count_ok(trigger), *_ready(trigger)
    )  # fmt: skip


def channel_row(channel: Json, now: float) -> Sequence[str]:
    sort = (channel["spec"].get("channelTemplate") or {}).get("kind") or channel.get("kind", "")
    return (*_name(channel), sort, _url(channel), _age(channel, now), *_ready(channel))


def subscription_row(subscription: Json, now: float) -> Sequence[str]:
    channel = subscription["spec"].get("channel") or {}
    dead = (subscription["spec"].get("delivery") or {}).get("deadLetterSink")
    return (
        *_name(subscription),
        f"{channel.get('kind', '')}:{channel.get('name', '')}",
        _sink(subscription, "subscriber"),
        _sink(subscription, "reply"),
        sink_text(dead, subscription["metadata"].get("namespace", "")),
        *_ready(subscription),
    )


def event_type_row(event_type: Json, now: float) -> Sequence[str]:
    values, reference = attribute_values(event_type), event_type["spec"].get("reference") or {}
    return (
        *_name(event_type),
        values.get("type", ""),
        values.get("source", ""),
        reference.get("name") or "",
        event_type["spec"].get("description") or "",
        *_ready(event_type),
    )


def ping_row(source: Json, now: float) -> Sequence[str]:
    schedule = source["spec"].get("schedule") or ""
    return (
        *_name(source), schedule, _sink(source, "sink"), _age(source, now), count_ok(source), *_ready(source)
    )  # fmt: skip


def source_row(source: Json, now: float) -> Sequence[str]:
    return (*_name(source), _sink(source, "sink"), _age(source, now), count_ok(source), *_ready(source))


def sources_row(kind: Kind[Any], source: Json) -> Sequence[str]:
    return (
        *_name(source),
        kind.kind,
        f"{kind.plural}.{kind.group}",
        _sink(source, "sink"),
        ready(source).get("status", "Unknown"),
    )


def describing(*facts: Fact) -> Callable[[Json, float], Iterator[str]]:
    """The lines of `describe`: the head, these facts where there are any, the conditions."""

    def lines(obj: Json, now: float) -> Iterator[str]:
        yield from head_lines(obj, now)
        for label, fact in facts:
            value = fact(obj)
            for index, line in enumerate([value] if isinstance(value, str) else value or ()):
                if line:
                    yield f"{f'{label}:' if not index else '':<11} {line}"
        yield ""
        yield from condition_lines(obj, now)

    return lines


def broker_of(trigger: Json) -> str:
    reference = trigger["spec"].get("brokerRef") or {}
    return str(trigger["spec"].get("broker") or reference.get("name") or "")


def _class(broker: Json) -> str:
    return str((broker["metadata"].get("annotations") or {}).get(BROKER_CLASS_ANNOTATION) or PILOTLIGHT_CLASS)


def _addresses(obj: Json) -> list[str]:
    status = obj.get("status") or {}
    return [each["url"] for each in status.get("addresses") or ()] or [_url(obj)]


def _filters(trigger: Json) -> list[str]:
    spec = trigger["spec"]
    if spec.get("filters"):
        return [str(each.get("cesql") or each) for each in spec["filters"]]
    attributes = (spec.get("filter") or {}).get("attributes") or {}
    return [f"{name}={value}" for name, value in attributes.items()] or ["every event"]


def _delivery(obj: Json) -> list[str]:
    delivery = obj["spec"].get("delivery") or {}
    return [f"{name} {value}" for name, value in delivery.items() if name != "deadLetterSink"]


def _dead_letter_sink(obj: Json) -> str:
    sink = (obj["spec"].get("delivery") or {}).get("deadLetterSink")
    return sink_text(sink, obj["metadata"].get("namespace", ""))


def _channel(subscription: Json) -> str:
    channel = subscription["spec"].get("channel") or {}
    return f"{channel.get('kind', '')}:{channel.get('name', '')}"


def _of_spec(name: str) -> Callable[[Json], Any]:
    return lambda obj: obj["spec"].get(name)


def _sink_of(field: str) -> Callable[[Json], str]:
    return lambda obj: _sink(obj, field)


_DELIVERED: Sequence[Fact] = (("DL sink", _dead_letter_sink), ("Delivery", _delivery))
describe_broker = describing(("Class", _class), ("Address", _addresses), *_DELIVERED)
describe_trigger = describing(
    ("Broker", broker_of), ("Filter", _filters), ("Sink", _sink_of("subscriber")), *_DELIVERED
)
describe_channel = describing(("Address", _addresses), *_DELIVERED)
describe_subscription = describing(
    ("Channel", _channel), ("Subscriber", _sink_of("subscriber")), ("Reply", _sink_of("reply")), *_DELIVERED
)
describe_event_type = describing(
    ("Attributes", lambda obj: [f"{name}={value}" for name, value in attribute_values(obj).items()]),
    ("Description", _of_spec("description")),
)
describe_source = describing(
    ("Schedule", _of_spec("schedule")),
    ("Data", _of_spec("data")),
    ("Servers", _of_spec("bootstrapServers")),
    ("Topics", _of_spec("topics")),
    ("Group", _of_spec("consumerGroup")),
    ("Sink", _sink_of("sink")),
)


def _name(obj: Json) -> tuple[str]:
    return (obj["metadata"]["name"],)


def _url(obj: Json) -> str:
    return str(((obj.get("status") or {}).get("address") or {}).get("url") or "")


def _age(obj: Json, now: float) -> str:
    return age_of(obj["metadata"].get("creationTimestamp"), now)


def _ready(obj: Json) -> tuple[str, str]:
    state = ready(obj)
    return state.get("status", "Unknown"), state.get("reason") or ""


def _sink(obj: Json, field: str) -> str:
    return sink_text(obj["spec"].get(field), obj["metadata"].get("namespace", ""))
