"""What each flag of eventing's commands does to a document, in place; sinks as `kn` writes them. No I/O.

ValueError names the flag and what it expects. A trailing `-` on a name removes it, as in kn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from core.resources.eventing_labels import BROKER_CLASS_ANNOTATION
from core.resources.meta import Json
from pilotlight.cli.kn.edits import container, set_or_remove

Edit = Callable[[Json, Any], None]
SINKS: dict[str, tuple[str, str]] = {
    "ksvc": ("serving.knative.dev/v1", "Service"),
    "svc": ("v1", "Service"),
    "broker": ("eventing.knative.dev/v1", "Broker"),
    "channel": ("messaging.knative.dev/v1", "Channel"),
    "imc": ("messaging.knative.dev/v1", "InMemoryChannel"),
    "sequence": ("flows.knative.dev/v1", "Sequence"),
    "parallel": ("flows.knative.dev/v1", "Parallel"),
    "kafkasink": ("eventing.knative.dev/v1alpha1", "KafkaSink"),
    "jobsink": ("sinks.knative.dev/v1alpha1", "JobSink"),
}
_EVERY_EVENT: tuple[Json, ...] = (
    {"name": "type", "required": True},
    {"name": "source", "required": True},
    {"name": "specversion", "value": "1.0", "required": True},
    {"name": "id", "required": True},
)
CONFIGS = {
    "cm": ("v1", "ConfigMap"),
    "sc": ("v1", "Secret"),
    "secret": ("v1", "Secret"),
    "rmq": ("eventing.knative.dev/v1alpha1", "RabbitmqBrokerConfig"),
}


def parse_sink(text: str, namespace: str, flag: str = "--sink") -> Json:
    """A destination: a URL, `PREFIX:NAME[:NAMESPACE]`, or a Knative Service's bare name."""
    if "://" in text:
        return {"uri": text}
    parts = text.split(":")
    if len(parts) == 1:
        parts = ["ksvc", *parts]
    if parts[0] not in SINKS or len(parts) > 3 or not all(parts):
        raise ValueError(f"{flag} {text!r}: expected NAME, {'|'.join(SINKS)}:NAME[:NAMESPACE], or a URL")
    api_version, kind = SINKS[parts[0]]
    where = parts[2] if len(parts) == 3 else namespace
    return {"ref": {"apiVersion": api_version, "kind": kind, "name": parts[1], "namespace": where}}


def sink_text(destination: Json | None, namespace: str = "") -> str:
    """The other way round: as `--sink` has it."""
    reference = (destination or {}).get("ref")
    if not reference:
        return (destination or {}).get("uri") or ""
    kind, name = reference.get("kind") or "", reference.get("name") or ""
    group = (reference.get("apiVersion") or reference.get("group") or "").partition("/")[0]
    prefix = next((each for each, (api, its) in SINKS.items() if its == kind and api.partition("/")[0] == group), kind)
    where = reference.get("namespace") or namespace
    return f"{prefix}:{name}" if where == namespace or not namespace else f"{prefix}:{name}:{where}"


def edit_sink(flag: str, *path: str) -> Edit:
    """A destination at `spec.<path>`."""

    def edit(document: Json, text: str) -> None:
        _put(document, path, parse_sink(text, document["metadata"]["namespace"], flag))

    return edit


def edit_spec(*path: str) -> Edit:
    """A value at `spec.<path>`, as it was typed."""
    return lambda document, value: _put(document, path, value)


def edit_list(field: str) -> Edit:
    """Several values, at commas or repeated."""
    return lambda document, values: _put(document, (field,), [each for text in values for each in text.split(",")])


def edit_own(field: str, flag: str) -> Edit:
    """Labels or annotations of the object itself."""

    def edit(document: Json, pairs: Sequence[str]) -> None:
        set_or_remove(document["metadata"].setdefault(field, {}), pairs, flag)

    return edit


def edit_class(broker: Json, name: str) -> None:
    broker["metadata"].setdefault("annotations", {})[BROKER_CLASS_ANNOTATION] = name


def edit_config(broker: Json, text: str) -> None:
    parts = text.split(":")
    if len(parts) == 1:
        parts = ["cm", *parts]
    if parts[0] not in CONFIGS or len(parts) > 3 or not all(parts):
        raise ValueError(f"--broker-config {text!r}: expected NAME, or {'|'.join(CONFIGS)}:NAME[:NAMESPACE]")
    api_version, kind = CONFIGS[parts[0]]
    where = parts[2] if len(parts) == 3 else broker["metadata"]["namespace"]
    _put(broker, ("config",), {"apiVersion": api_version, "kind": kind, "name": parts[1], "namespace": where})


def edit_filter(trigger: Json, pairs: Sequence[str]) -> None:
    """`type=a`, several at a comma as in kn, and repeated."""
    attributes = trigger["spec"].setdefault("filter", {}).setdefault("attributes", {})
    set_or_remove(attributes, [each for pair in pairs for each in re.split(r",(?=[a-z0-9]+=)", pair)], "--filter")


def edit_cesql(trigger: Json, expressions: Sequence[str]) -> None:
    """`filters` in place of `filter`: where both stand, the second does not count."""
    chosen = [expression for expression in expressions if expression]
    if chosen and (trigger["spec"].get("filter") or {}).get("attributes"):
        raise ValueError(
            "--cesql: attributes of --filter do not count beside expressions: write them into one, "
            "as type = 'x' AND …, and take them away with --filter NAME-"
        )
    trigger["spec"]["filters"] = [{"cesql": expression} for expression in chosen]


def edit_channel_type(channel: Json, text: str) -> None:
    _put(channel, ("channelTemplate",), parse_channel_type(text))


def parse_channel_type(text: str) -> Json:
    """`imc`, or `GROUP:VERSION:KIND`."""
    if text == "imc":
        return {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}
    parts = text.split(":")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"--type {text!r}: expected imc, or GROUP:VERSION:KIND")
    return {"apiVersion": f"{parts[0]}/{parts[1]}", "kind": parts[2]}


def edit_channel(subscription: Json, text: str) -> None:
    """`NAME`, `imc:NAME`, or `GROUP:VERSION:KIND:NAME`."""
    sort, _, name = text.rpartition(":")
    reference = {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel"} if not sort else parse_channel_type(sort)
    _put(subscription, ("channel",), {**reference, "name": name})


def edit_overrides(source: Json, pairs: Sequence[str]) -> None:
    extensions = source["spec"].setdefault("ceOverrides", {}).setdefault("extensions", {})
    set_or_remove(extensions, pairs, "--ce-override")


def edit_encoding(source: Json, encoding: str) -> None:
    """Behind `--data`: base64 moves it."""
    if encoding not in ("text", "base64"):
        raise ValueError(f"--encoding {encoding!r}: expected text or base64")
    if encoding == "base64" and "data" in source["spec"]:
        source["spec"]["dataBase64"] = source["spec"].pop("data")


def edit_subject(binding: Json, text: str) -> None:
    """`KIND:APIVERSION:NAME`, or labels in the name's place."""
    kind, version, rest = _three(text, "--subject", "NAME or KEY=VALUE,…")
    subject: Json = {"apiVersion": version, "kind": kind, "namespace": binding["metadata"]["namespace"]}
    if "=" in rest:
        binding["spec"]["subject"] = {**subject, "selector": {"matchLabels": _labels(rest, "--subject")}}
    else:
        binding["spec"]["subject"] = {**subject, "name": rest}


def edit_resources(source: Json, texts: Sequence[str]) -> None:
    """`KIND:APIVERSION[:KEY=VALUE,…]`, each."""
    resources = []
    for text in texts:
        kind, version, rest = _three(f"{text}:" if text.count(":") == 1 else text, "--resource", "KEY=VALUE,…")
        resource: Json = {"apiVersion": version, "kind": kind}
        if rest:
            resource["selector"] = {"matchLabels": _labels(rest, "--resource")}
        resources.append(resource)
    source["spec"]["resources"] = resources


def edit_pod(edit: Edit) -> Edit:
    """An edit of a Service's container, for a source: its container has a name."""

    def named(source: Json, value: Any) -> None:
        edit(source, value)
        container(source).setdefault("name", "source")

    return named


def edit_attribute(name: str) -> Edit:
    """An attribute of an EventType; those that every event has are named with it."""

    def edit(event_type: Json, value: str) -> None:
        attributes = event_type["spec"].setdefault("attributes", [])
        named = {each["name"]: each for each in (*_EVERY_EVENT, *attributes)}
        named[name] = {"name": name, "value": value, "required": name != "schemadata"}
        attributes[:] = named.values()

    return edit


def edit_event_type_broker(event_type: Json, name: str) -> None:
    reference = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": name}
    _put(event_type, ("reference",), reference)


def _put(document: Json, path: Sequence[str], value: Any) -> None:
    spec = document.setdefault("spec", {})
    for name in path[:-1]:
        spec = spec.setdefault(name, {})
    spec[path[-1]] = value


def _three(text: str, flag: str, last: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if len(parts) != 3 or not all(parts[:2]):
        raise ValueError(f"{flag} {text!r}: expected KIND:APIVERSION:{last}")
    return parts[0], parts[1], parts[2]


def _labels(text: str, flag: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    set_or_remove(labels, text.split(","), flag)
    return labels
