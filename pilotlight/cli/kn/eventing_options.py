"""The flags of eventing's commands, as `options` has those of a Service: one table for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pilotlight.cli.kn import eventing_edits as edits
from pilotlight.cli.kn.options import POD_FLAGS, Flag, read_text

_SINK_HELP = "NAME of a Knative Service, ksvc|broker|channel|svc|…:NAME[:NAMESPACE], or a URL."
_OWN: Sequence[Flag] = (
    Flag("--annotation", list[str], "name=value; name- to unset.", edits.edit_own("annotations", "--annotation"), "-a"),
    Flag("--label", list[str], "name=value; name- to unset.", edits.edit_own("labels", "--label"), "-l"),
)
_DELIVERY: Sequence[Flag] = (
    Flag("--retry", int, "Tries after the first.", edits.edit_spec("delivery", "retry")),
    Flag("--backoff-policy", str, "linear or exponential.", edits.edit_spec("delivery", "backoffPolicy")),
    Flag("--backoff-delay", str, "First wait, as PT0.2S.", edits.edit_spec("delivery", "backoffDelay")),
    Flag("--backoff-max", str, "Longest wait, as PT10M.", edits.edit_spec("delivery", "backoffMax")),
    Flag("--timeout", str, "Longest time of one try, as PT30S.", edits.edit_spec("delivery", "timeout")),
    Flag(
        "--retry-after-max",
        str,
        "Longest Retry-After that is obeyed, as PT5M.",
        edits.edit_spec("delivery", "retryAfterMax"),
    ),
)


def _sink(name: str, *path: str, help: str = _SINK_HELP, short: str | None = None) -> Flag:
    return Flag(name, str, help, edits.edit_sink(name, *path), short)


_DEAD_LETTER_HELP = f"Where events go that could not be delivered: {_SINK_HELP}"
BROKER_FLAGS: Sequence[Flag] = (
    Flag("--class", str, "Pilotlight, Kafka or RabbitMQBroker.", edits.edit_class),
    Flag("--broker-config", str, "cm|secret|rmq:NAME[:NAMESPACE].", edits.edit_config),
    _sink("--dl-sink", "delivery", "deadLetterSink", help=_DEAD_LETTER_HELP),
    *_DELIVERY,
    *_OWN,
)
TRIGGER_FLAGS: Sequence[Flag] = (
    Flag("--broker", str, "Name of its Broker; default.", edits.edit_spec("broker")),
    _sink("--sink", "subscriber", short="-s"),
    Flag("--filter", list[str], "attribute=value that events must have; attribute- to unset.", edits.edit_filter),
    Flag("--cesql", list[str], "An expression in CloudEvents SQL that must be true; '' for none.", edits.edit_cesql),
    _sink("--dl-sink", "delivery", "deadLetterSink", help=_DEAD_LETTER_HELP),
    *_DELIVERY,
    *_OWN,
)
CHANNEL_FLAGS: Sequence[Flag] = (
    Flag("--type", str, "imc, or GROUP:VERSION:KIND.", edits.edit_channel_type),
    _sink("--dl-sink", "delivery", "deadLetterSink", help=_DEAD_LETTER_HELP),
    *_DELIVERY,
    *_OWN,
)
SUBSCRIPTION_FLAGS: Sequence[Flag] = (
    Flag("--channel", str, "NAME, imc:NAME, or GROUP:VERSION:KIND:NAME.", edits.edit_channel),
    _sink("--sink", "subscriber", short="-s"),
    _sink("--sink-reply", "reply", help=f"Where its answers go: {_SINK_HELP}"),
    _sink("--sink-dead-letter", "delivery", "deadLetterSink", help=_DEAD_LETTER_HELP),
    *_DELIVERY,
    *_OWN,
)
EVENT_TYPE_FLAGS: Sequence[Flag] = (
    Flag("--type", str, "Type of the events.", edits.edit_attribute("type"), "-t"),
    Flag("--source", str, "Source of the events.", edits.edit_attribute("source")),
    Flag("--broker", str, "Broker where they can be had.", edits.edit_event_type_broker, "-b"),
    Flag("--description", str, "What such an event means.", edits.edit_spec("description")),
    Flag("--schema", Path, "File with a JSON Schema of the data.", edits.edit_attribute("schemadata"), read=read_text),
    *_OWN,
)
_SOURCE: Sequence[Flag] = (
    _sink("--sink", "sink", short="-s"),
    Flag("--ce-override", list[str], "attribute=value of every event; attribute- to unset.", edits.edit_overrides),
    *_OWN,
)
PING_FLAGS: Sequence[Flag] = (
    Flag("--schedule", str, "Cron schedule; every minute.", edits.edit_spec("schedule")),
    Flag("--timezone", str, "Whose clock it goes by, as Europe/Berlin.", edits.edit_spec("timezone")),
    Flag("--data", str, "Data of each event.", edits.edit_spec("data"), "-d"),
    Flag("--content-type", str, "Media type of the data.", edits.edit_spec("contentType")),
    Flag("--encoding", str, "What --data is: text or base64.", edits.edit_encoding, "-e"),
    *_SOURCE,
)
BINDING_FLAGS: Sequence[Flag] = (
    Flag("--subject", str, "KIND:APIVERSION:NAME, or KIND:APIVERSION:KEY=VALUE,…", edits.edit_subject),
    *_SOURCE,
)
CONTAINER_FLAGS: Sequence[Flag] = (
    *(replace(flag, edit=edits.edit_pod(flag.edit)) for flag in POD_FLAGS),
    *_SOURCE,
)
API_SERVER_FLAGS: Sequence[Flag] = (
    Flag("--resource", list[str], "KIND:APIVERSION[:KEY=VALUE,…] whose changes are told.", edits.edit_resources),
    Flag("--mode", str, "Reference or Resource.", edits.edit_spec("mode")),
    Flag("--service-account", str, "Service account.", edits.edit_spec("serviceAccountName")),
    *_SOURCE,
)
KAFKA_FLAGS: Sequence[Flag] = (
    Flag("--servers", list[str], "host:port of the cluster; repeatable.", edits.edit_list("bootstrapServers")),
    Flag("--topics", list[str], "Topic; repeatable.", edits.edit_list("topics")),
    Flag("--consumergroup", str, "Consumer group.", edits.edit_spec("consumerGroup")),
    Flag("--initial-offset", str, "Where a new group begins: latest or earliest.", edits.edit_spec("initialOffset")),
    Flag("--ordering", str, "ordered or unordered.", edits.edit_spec("ordering")),
    Flag("--consumers", int, "How many consumers.", edits.edit_spec("consumers")),
    *_SOURCE,
)
