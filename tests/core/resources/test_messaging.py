"""Channel, InMemoryChannel, Subscription (core/resources/messaging_validation.py)."""

from __future__ import annotations

import pytest

from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL, SUBSCRIPTION
from core.resources.meta import Json
from core.settings import config_maps
from core.settings.eventing import parse_channel_defaults
from tests.support.eventing_documents import SINK, admitted, document, refusal

TEMPLATE = {"apiVersion": "messaging.knative.dev/v1", "kind": "InMemoryChannel"}
REFERENCE = {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": "c"}


def test_a_channel_that_says_nothing() -> None:
    channel = admitted(CHANNEL, document({}))
    assert channel["spec"] == {"channelTemplate": TEMPLATE}
    assert channel["metadata"]["annotations"] == {"messaging.knative.dev/subscribable": "v1"}
    assert refusal(CHANNEL, channel) == ""


def test_a_channel_by_the_defaults_of_its_namespace() -> None:
    text = f"namespaceDefaults: {{ns: {{apiVersion: {TEMPLATE['apiVersion']}, kind: Own, spec: {{a: 1}}}}}}"
    settings = {config_maps.CHANNEL_DEFAULTS: parse_channel_defaults({"default-ch-config": text})}
    found = admitted(CHANNEL, document({}), settings=settings)
    assert found["spec"]["channelTemplate"] == {"apiVersion": TEMPLATE["apiVersion"], "kind": "Own", "spec": {"a": 1}}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"channelTemplate": {}}, "missing field(s): spec.channelTemplate.apiVersion, spec.channelTemplate.kind"),
        ({"subscribers": [{"uid": "a"}]}, "must not set the field(s): spec.subscribable.subscribers"),
        ({"delivery": {"retry": -1}}, "invalid value: -1: spec.delivery.retry"),
    ],
)
def test_a_channel_refused(spec: Json, text: str) -> None:
    assert refusal(CHANNEL, document(spec)) == text


def test_the_template_of_a_channel_never_changes() -> None:
    old = admitted(CHANNEL, document({}))
    changed = document({"channelTemplate": {**TEMPLATE, "kind": "KafkaChannel"}})
    assert refusal(CHANNEL, changed, old).startswith("Immutable fields changed (-old +new): spec.channelTemplate\n")
    assert refusal(CHANNEL, document({"delivery": {"retry": 1}}), old) == ""


@pytest.mark.parametrize(
    ("spec", "annotations", "text"),
    [
        ({}, {}, ""),
        ({"subscribers": [{"subscriberUri": "http://f/"}]}, {}, ""),
        (
            {"subscribers": [{"uid": "a"}]},
            {},
            "missing field(s): spec.subscribable.subscriber[0].replyURI, "
            "spec.subscribable.subscriber[0].subscriberURI\n"
            "expected at least one of, got none",
        ),
        ({}, {"eventing.knative.dev/scope": "namespace"}, ""),
        (
            {},
            {"eventing.knative.dev/scope": "pod"},
            "invalid value: pod: metadata.annotations[eventing.knative.dev/scope]\n"
            "expected either 'cluster' or 'namespace'",
        ),
        (
            {},
            {"pilotlight.dev/deduplicate": "1h"},
            "invalid value: 1h: metadata.annotations[pilotlight.dev/deduplicate]\n"
            "must be an ISO 8601 duration above zero, such as PT10M",
        ),
    ],
)
def test_an_in_memory_channel(spec: Json, annotations: Json, text: str) -> None:
    assert refusal(IN_MEMORY_CHANNEL, document(spec, annotations)) == text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param({"channel": REFERENCE, "subscriber": SINK}, "", id="subscriber"),
        pytest.param({"channel": REFERENCE, "reply": SINK}, "", id="reply alone"),
        pytest.param(
            {},
            "missing field(s): spec.channel\nthe Subscription must reference a channel\n"
            "missing field(s): spec.reply, spec.subscriber\n"
            "the Subscription must reference at least one of (reply channel or a subscriber)",
            id="nothing",
        ),
        pytest.param(
            {"channel": {"name": "c"}, "subscriber": SINK},
            "missing field(s): spec.channel.apiVersion, spec.channel.kind",
            id="half a channel",
        ),
        pytest.param(
            {"channel": REFERENCE, "reply": {"uri": "path"}},
            "invalid value: Relative URI is not allowed when Ref and [apiVersion, kind, name] is absent: "
            "spec.reply.uri",
            id="relative reply",
        ),
    ],
)
def test_a_subscription(spec: Json, text: str) -> None:
    assert refusal(SUBSCRIPTION, document(spec)) == text


def test_the_channel_of_a_subscription_never_changes() -> None:
    old = admitted(SUBSCRIPTION, document({"channel": REFERENCE, "subscriber": SINK}))
    assert old["spec"]["subscriber"]["ref"]["namespace"] == "ns"
    other = document({"channel": {**REFERENCE, "name": "d"}, "subscriber": SINK})
    assert refusal(SUBSCRIPTION, other, old).startswith("Immutable fields changed (-old +new): spec.channel\n")
    assert refusal(SUBSCRIPTION, document({"channel": REFERENCE, "reply": SINK}), old) == ""
