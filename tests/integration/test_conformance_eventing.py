"""Knative Eventing's published conformance tests, replayed: its documents, and senders and receivers as its eventshub
has them. Headings name the features (test/rekt/features of knative/eventing). Objects are made through the API, as a Go
client makes them; kubectl waits, patches and is refused where that is what a feature asks for.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tests.support.conformance import EVENTING, FLOWS, MESSAGING, NAMESPACE, PING, Kit, address, collection, conforming
from tests.support.eventshub import Answer, Json, appended, full_event, transformed
from tests.support.platform import Platform
from tests.support.user import User

pytestmark = pytest.mark.kubectl
SOURCE = "http://source.example/"


@pytest.fixture(scope="module")
def kit(platform: Platform, user: User) -> Iterator[Kit]:
    with conforming(platform, user) as kit:
        yield kit


# --- broker/control_plane.go


def test_control_plane_of_a_broker(kit: Kit) -> None:
    sink, _ = kit.receiver()
    name = kit.broker({"deadLetterSink": kit.service(sink)})
    status = kit.get("Broker", name)["status"]
    assert status["observedGeneration"] == 1
    assert status["address"]["url"].startswith("http://")
    assert status["deadLetterSinkUri"] == address(sink)
    changed = {"metadata": {"annotations": {"eventing.knative.dev/broker.class": "Rekt.brokerClassIsImmutable"}}}
    with pytest.raises(AssertionError, match=r"Immutable annotations changed"):
        kit.patch("broker", name, changed)


def test_default_delivery_spec(kit: Kit) -> None:
    delivery = kit.get("Broker", kit.broker())["spec"]["delivery"]
    assert delivery == {"retry": 10, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"}


def test_control_plane_of_a_trigger(kit: Kit) -> None:
    sink, _ = kit.receiver()
    broker = kit.name("broker")
    name = kit.install(
        EVENTING, "Trigger", kit.name("trigger"), {"broker": broker, "subscriber": kit.service(sink)}
    )  # before its broker
    kit.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready=False", "--timeout=20s", f"trigger/{name}")
    kit.install(EVENTING, "Broker", broker, {})
    kit.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=20s", f"trigger/{name}")
    found = kit.get("Trigger", name)
    assert found["status"]["subscriberUri"] == address(sink)
    assert found["metadata"]["labels"]["eventing.knative.dev/broker"] == broker
    with pytest.raises(AssertionError, match=r"Immutable fields changed"):
        kit.patch("trigger", name, {"spec": {"broker": "Rekt"}})


VALID = {
    "source": "a source", "id": "an id", "specversion": "the spec version", "type": "the type", "subject": "a subject",
    "time": "a time", "datacontenttype": "a datacontenttype", "dataschema": "a dataschema", "aaa": "bbb",
    "c1d2e3": "123", "abcdefghijklmnopqrst": "max length",
}  # fmt: skip
INVALID = [
    "SOURCE",
    "Source",
    "souRce",
    "s pace s",
    "s_pace_s",
    "s-pace-s",
    "123",
    "😊",
    "!@#$%^&*()-_=_`~+\\",
    "{}[];':\"<>,./?",
]


def test_filters_of_a_trigger(kit: Kit) -> None:
    sink, _ = kit.receiver()
    name = kit.trigger(kit.broker(), kit.service(sink), filter={"attributes": VALID})
    assert kit.get("Trigger", name)["spec"]["filter"]["attributes"] == VALID
    for key in INVALID:
        change = {"spec": {"filter": {"attributes": {key: "x"}}}}
        reply = kit.user.ask("PATCH", f"{collection('Trigger')}/{name}", change, "application/merge-patch+json")
        assert (reply.status, "invalid key name" in reply.text) == (400, True), key


FULL, REPLY = {"type": "com.example.FullEvent"}, {"type": "com.example.ReplyEvent"}
OTHER = {"type": "notmytype"}
ROUTING = [
    pytest.param([(None, False)], [1], id="no filter"),
    pytest.param([(OTHER, False)], [0], id="another type"),
    pytest.param([(FULL, False)], [1], id="its type"),
    pytest.param([(FULL, False), (FULL, False)], [1, 1], id="two of its type"),
    pytest.param([(OTHER, False), (FULL, False)], [0, 1], id="one of two"),
    pytest.param([(FULL, True), (REPLY, False)], [1, 1], id="a reply"),
    pytest.param([(None, False), (None, False)], [1, 1], id="two without filters"),
]


@pytest.mark.parametrize(("triggers", "counts"), ROUTING)
def test_event_routing(kit: Kit, triggers: list[tuple[Json | None, bool]], counts: list[int]) -> None:
    broker, receivers = kit.broker(), []
    for attributes, replies in triggers:
        options = {"reply": transformed(REPLY["type"], SOURCE, '"hello"')} if replies else {}
        name, receiver = kit.receiver("t", **options)
        kit.trigger(broker, kit.service(name), **({"filter": {"attributes": attributes}} if attributes else {}))
        receivers.append(receiver)
    kit.event("Broker", broker)
    for receiver, count in zip(receivers, counts, strict=True):
        kit.until(receiver, count)
    time.sleep(0.1)
    assert [len(each.got) for each in receivers] == counts
    sent, _ = full_event()
    for (attributes, _), receiver in zip(triggers, receivers, strict=True):
        for got in receiver.got:
            changed = {"ce-type": REPLY["type"], "ce-source": SOURCE} if attributes == REPLY else {}
            assert {k: v for k, v in got.headers.items() if k[:3] == "ce-"} == {
                k: v for k, v in (sent | changed).items() if k[:3] == "ce-"
            }
            assert got.body == b'"hello"'


@dataclass(frozen=True)
class Case:
    """Of addControlPlaneDelivery: retry of broker and triggers (None: nothing), whether they have sinks."""

    label: str
    broker: tuple[int | None, bool] | None = None
    triggers: tuple[tuple[int | None, bool] | None, ...] = (None, None)
    fails: tuple[int, int] = (0, 0)
    expected: Mapping[str, list[bool]] = field(default_factory=dict)


BURIED = [True]
DELIVERY = [
    Case("nothing", None, (None, None), (0, 0), {"t0": [True], "t1": [True]}),
    Case(
        "the broker's retry", (3, True), (None, None), (3, 4),
        {"t0": [False] * 3 + [True], "t1": [False] * 4, "brokerdlq": BURIED},
    ),
    Case(
        "the trigger's retry", (0, False), ((3, True), (1, False)), (3, 2),
        {"t0": [False] * 3 + [True], "t1": [False] * 2},
    ),
    Case(
        "the trigger's before the broker's", (1, True), ((3, True), None), (3, 2),
        {"t0": [False] * 3 + [True], "t1": [False] * 2, "brokerdlq": BURIED},
    ),
    Case(
        "the trigger's sink before the broker's", (1, True), ((3, True), None), (4, 2),
        {"t0": [False] * 4, "t0dlq": BURIED, "t1": [False] * 2, "brokerdlq": BURIED},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", DELIVERY, ids=lambda case: case.label)
def test_delivery_spec(kit: Kit, case: Case) -> None:
    names, receivers = {}, {}
    for name, drop in (("brokerdlq", 0), ("t0dlq", 0), ("t1dlq", 0), ("t0", case.fails[0]), ("t1", case.fails[1])):
        names[name], receivers[name] = kit.receiver(name, drop=drop)

    def delivery(asked: tuple[int | None, bool] | None, sink: str) -> Json | None:
        if asked is None:
            return None
        found: Json = {"backoffDelay": "PT0.02S"}
        if asked[0] is not None:
            found["retry"] = asked[0]
        return found | ({"deadLetterSink": kit.service(names[sink])} if asked[1] else {})

    broker = kit.broker(delivery(case.broker, "brokerdlq"))
    for index, asked in enumerate(case.triggers):
        spec = {"delivery": delivery(asked, f"t{index}dlq")} if asked else {}
        kit.trigger(broker, kit.service(names[f"t{index}"]), **spec)
    kit.event("Broker", broker)
    for name, pattern in case.expected.items():
        kit.until(receivers[name], len(pattern))
    time.sleep(0.1)
    found = {name: receiver.pattern for name, receiver in receivers.items() if receiver.got}
    assert found == case.expected


# --- broker/data_plane.go, broker/ingress.go, channel/data_plane.go


STRUCTURED = b"""{"specversion": "%s", "type": "sometype", "source": "json.request.sender.test.knative.dev",
"id": "2222-4444-6666", "time": "2020-07-06T09:23:12Z", "datacontenttype": "application/json",
"data": {"message": "helloworld"}}"""
BAD = {"ce-specversion": "1.0", "ce-type": "sometype", "ce-source": "x.request.sender.test.knative.dev", "ce-id": "1"}


@pytest.mark.parametrize("kind", ["Broker", "InMemoryChannel", "Channel"])
def test_data_plane_of_an_ingress(kit: Kit, kind: str) -> None:
    name = kit.broker() if kind == "Broker" else kit.channel(kind=kind)
    for version in ("1.0", "0.3"):
        kit.event(kind, name, specversion=version)
        body = STRUCTURED.replace(b"%s", version.encode())
        assert kit.send(kind, name, {"content-type": "application/cloudevents+json"}, body) == 202
    for content_type in ("application/vnd.apache.thrift.binary", "application/xml", "application/json"):
        assert kit.send(kind, name, {**BAD, "content-type": content_type}, b"{}") == 202
    for version in ("19.0", "9000.1", ""):
        assert kit.send(kind, name, {**BAD, "ce-specversion": version}, b";la}{kjsdf;oai2095{}{}") == 400
    for missing in BAD:
        without = {key: value for key, value in BAD.items() if key != missing}
        assert kit.send(kind, name, without, b"{}") == 400, missing
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        assert kit.send(kind, name, BAD, b"", method) == 405, method
    assert kit.send(kind, name, {}, b"", "OPTIONS") == 200


@pytest.mark.parametrize("version", ["1.0", "0.3"])
@pytest.mark.parametrize("structured", [False, True], ids=["binary", "structured"])
def test_events_arrive_as_they_were_sent(kit: Kit, version: str, structured: bool) -> None:
    sink, receiver = kit.receiver()
    broker = kit.broker()
    kit.trigger(broker, kit.service(sink), delivery={"format": "json"} if structured else {})
    if structured:
        body = STRUCTURED.replace(b"%s", version.encode())
        assert kit.send("Broker", broker, {"content-type": "application/cloudevents+json; charset=utf-8"}, body) == 202
        (got,) = kit.until(receiver, 1)
        assert json.loads(got.body) == json.loads(body)
        return
    headers, body = full_event(
        specversion=version, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    )
    assert kit.send("Broker", broker, headers, body) == 202
    (got,) = kit.until(receiver, 1)
    assert (got.attributes, got.body) == ({k[3:]: v for k, v in headers.items() if k[:3] == "ce-"}, body)
    assert got.headers["content-type"] == headers["content-type"]
    assert got.headers["prefer"] == "reply"
    assert got.headers["kn-namespace"] == NAMESPACE
    assert got.headers["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"


def test_a_long_message_arrives_once(kit: Kit) -> None:
    sink, receiver = kit.receiver()
    broker = kit.broker()
    kit.trigger(broker, kit.service(sink))
    kit.event("Broker", broker, b"X" * 36864)
    assert [len(got.body) for got in kit.until(receiver, 1)] == [36864]


@pytest.mark.parametrize(
    ("reply", "again", "delivered"),
    [
        pytest.param(Answer(202, BAD, b"{}"), [True], 0, id="202 is no reply"),
        pytest.param(Answer(200, BAD, b"{}"), [True], 1, id="200 with an event"),
        pytest.param(Answer(200, {**BAD, "ce-id": ""}, b"{}"), [True], 0, id="malformed"),
        pytest.param(Answer(200, {}, b""), [True], 0, id="empty"),
    ],
)
def test_replies(kit: Kit, reply: Answer, again: list[bool], delivered: int) -> None:
    first, asked = kit.receiver("asked", reply=lambda got: reply)
    second, told = kit.receiver("told")
    dead, letters = kit.receiver("dead")
    broker = kit.broker({"deadLetterSink": kit.service(dead), "retry": 0})
    kit.trigger(broker, kit.service(first), filter={"attributes": FULL})
    kit.trigger(broker, kit.service(second), filter={"attributes": {"type": "sometype"}})
    kit.event("Broker", broker)
    kit.until(asked, 1)
    kit.until(told, delivered)
    malformed = reply.status == 200 and not delivered and bool(reply.body)
    kit.until(letters, int(malformed))
    time.sleep(0.1)
    assert (asked.pattern, len(told.got), len(letters.got)) == (again, delivered, int(malformed))


# --- broker/feature.go, trigger/trigger_sink_resolution.go, channel/features.go


@pytest.mark.parametrize("drops", [1, 5])
def test_redelivery(kit: Kit, drops: int) -> None:
    sink, receiver = kit.receiver(drop=drops)
    broker = kit.broker({"retry": 5, "backoffPolicy": "linear", "backoffDelay": "PT0.05S"})
    kit.trigger(broker, kit.service(sink))
    kit.event("Broker", broker)
    times = [got.time for got in kit.until(receiver, drops + 1)]
    assert receiver.pattern == [False] * drops + [True]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= 0.05 * n * 0.98 for n, wait in enumerate(waits, 1))


@pytest.mark.parametrize("via", ["Trigger", "Broker", "InMemoryChannel", "Channel"])
@pytest.mark.parametrize(
    ("code", "body"),
    [
        (422, b""),
        (422, b'{ "message": "catastrophic failure" }'),
        (409, b"<!doctype html>\n<p>Quoth the server, 404!\n</p>"),
    ],
)
def test_dead_letter_extensions(kit: Kit, via: str, code: int, body: bytes) -> None:
    failer, _ = kit.receiver("failer", drop=1, refusal=Answer(code, {}, body))
    sink, receiver = kit.receiver()
    delivery = {"deadLetterSink": kit.service(sink)}
    if via in ("Trigger", "Broker"):
        kind, name = "Broker", kit.broker(delivery if via == "Broker" else {"retry": 0})
        kit.trigger(name, kit.service(failer), **({"delivery": delivery} if via == "Trigger" else {}))
    else:
        kind, name = via, kit.channel(delivery, via)
        assert kit.get(via, name)["status"]["deadLetterSinkUri"] == address(sink)
        kit.subscription(name, via, subscriber=kit.service(failer))
    kit.event(kind, name)
    (letter,) = kit.until(receiver, 1)
    assert letter.attributes["knativeerrordest"] == address(failer)
    assert letter.attributes["knativeerrorcode"] == str(code)
    said = base64.b64encode(body.replace(b"\n", b"")).decode()
    assert letter.attributes.get("knativeerrordata", "") == said
    sent, _ = full_event()
    assert letter.attributes.items() >= {(k[3:], v) for k, v in sent.items() if k[:3] == "ce-"}


@pytest.mark.parametrize(
    ("url", "waits"),
    [
        pytest.param("bad://uri", False, id="trigger_sink_resolution"),
        pytest.param("http://fake.svc.cluster.local", True, id="unreachable"),
    ],
)
@pytest.mark.parametrize("via", ["Trigger", "Broker", "InMemoryChannel"])
def test_a_subscriber_that_cannot_be_reached(kit: Kit, via: str, url: str, waits: bool) -> None:
    sink, receiver = kit.receiver()
    good, healthy = kit.receiver("good")
    delivery = {"deadLetterSink": kit.service(sink)}
    if via == "InMemoryChannel":
        kind, name = via, kit.channel(delivery)
        kit.subscription(name, subscriber={"uri": url})
        kit.subscription(name, subscriber=kit.service(good))
    else:
        behind = {"retry": 1, "backoffDelay": "PT0.05S"} if waits else None
        kind, name = "Broker", kit.broker(delivery if via == "Broker" else behind)
        kit.trigger(name, {"uri": url}, **({"delivery": delivery} if via == "Trigger" else {}))
        kit.trigger(name, kit.service(good))
    for number in range(3):
        kit.event(kind, name, id=str(number))
    letters = kit.until(receiver, 3)
    assert {letter.attributes["knativeerrordest"] for letter in letters} == {url}
    assert {letter.attributes["id"] for letter in letters} == {"0", "1", "2"}
    assert {got.attributes["id"] for got in kit.until(healthy, 3)} == {"0", "1", "2"}


def test_a_flaky_subscriber_and_the_sink_of_the_broker(kit: Kit) -> None:
    dead, letters = kit.receiver("dlq")
    sink, receiver = kit.receiver("flake", drop=2, refusal=Answer(500))
    broker = kit.broker({"deadLetterSink": kit.service(dead)})
    kit.trigger(broker, kit.service(sink))
    for number in range(3):
        kit.event("Broker", broker, id=str(number))
        kit.until(receiver, number + 1)
    assert [got.attributes["id"] for got in kit.until(letters, 2)] == ["0", "1"]
    assert [got.attributes["id"] for got in receiver.got if got.received] == ["2"]


def test_transformation_through_broker_and_channel(kit: Kit) -> None:
    one, changes = kit.receiver("sink1", reply=transformed("type2", "http://source2.com", '{"msg":"transformed"}'))
    two, everything = kit.receiver("sink2")
    three, changed = kit.receiver("sink3")
    broker, channel = kit.broker(), kit.channel(kind="Channel")
    kit.subscription(channel, "Channel", subscriber=kit.service(three))
    reference = {"ref": {"apiVersion": MESSAGING, "kind": "Channel", "namespace": NAMESPACE, "name": channel}}
    kit.trigger(broker, kit.service(one), filter={"attributes": {"type": "type1", "source": "http://source1.com"}})
    kit.trigger(broker, kit.service(two), filter={"attributes": {"type": ""}})
    kit.trigger(broker, reference, filter={"attributes": {"type": "type2", "source": "http://source2.com"}})
    kit.event("Broker", broker, type="type1", source="http://source1.com")
    assert [got.attributes["type"] for got in kit.until(changes, 1)] == ["type1"]
    assert {got.attributes["type"] for got in kit.until(everything, 2)} == {"type1", "type2"}
    (got,) = kit.until(changed, 1)
    assert (got.attributes["type"], got.body) == ("type2", b'{"msg":"transformed"}')
    assert got.headers["prefer"] == "reply"  # of the Subscription, which has no reply


def test_a_subscription_with_reply(kit: Kit) -> None:
    transform, _ = kit.receiver("transform", reply=transformed("transformed", "transformer"))
    sink, receiver = kit.receiver()
    first, second = kit.channel(), kit.channel()
    reply = {"ref": {"apiVersion": MESSAGING, "kind": "InMemoryChannel", "namespace": NAMESPACE, "name": second}}
    name = kit.subscription(first, subscriber=kit.service(transform), reply=reply)
    kit.subscription(second, subscriber=kit.service(sink))
    for number in range(3):
        kit.event("InMemoryChannel", first, id=str(number))
    assert {got.attributes["type"] for got in kit.until(receiver, 3)} == {"transformed"}
    assert kit.get("Subscription", name)["status"]["physicalSubscription"] == {
        "subscriberUri": address(transform),
        "replyUri": address(f"{second}-kn-channel"),
    }


def test_control_plane_of_a_channel(kit: Kit) -> None:
    """Subscribers that somebody writes into the channel itself are served as those of Subscriptions are."""
    sink, receiver = kit.receiver()
    name = kit.channel()
    assert kit.get("InMemoryChannel", name)["metadata"]["annotations"]["messaging.knative.dev/subscribable"] == "v1"
    subscriber = {"uid": "abc123", "generation": 1, "subscriberUri": address(sink)}
    kit.patch("inmemorychannel", name, {"spec": {"subscribers": [subscriber]}})
    path = "jsonpath={.status.subscribers[0].ready}=True"
    kit.kubectl("wait", "-n", NAMESPACE, f"--for={path}", "--timeout=10s", f"inmemorychannel/{name}")
    channel = kit.get("InMemoryChannel", name)
    assert channel["spec"]["subscribers"] == [subscriber]
    assert [each["uid"] for each in channel["status"]["subscribers"]] == ["abc123"]
    kit.event("InMemoryChannel", name)
    kit.until(receiver, 1)


# --- resources/account_role/role.yaml, channel/helpers.go


ROLES = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: manipulator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: channelable-manipulator-collector}
aggregationRule:
  clusterRoleSelectors:
  - matchLabels: {duck.knative.dev/channelable: "true"}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: manipulator}
subjects:
- {kind: ServiceAccount, name: manipulator, namespace: conformance}
roleRef: {kind: ClusterRole, name: channelable-manipulator-collector, apiGroup: rbac.authorization.k8s.io}
"""


def test_a_service_account_may_work_with_channels(kit: Kit) -> None:
    assert kit.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=ROLES).count("created") == 3
    assert kit.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=ROLES).count("unchanged") == 3
    kit.kubectl("create", "role", "reader", "-n", NAMESPACE, "--verb=get,list", "--resource=pods")
    kit.kubectl("create", "rolebinding", "reader", "-n", NAMESPACE, "--role=reader", "--serviceaccount=conformance:a")
    assert "Role/reader" in kit.kubectl("get", "rolebinding", "-n", NAMESPACE)
    question = {
        "user": f"system:serviceaccount:{NAMESPACE}:manipulator",
        "resourceAttributes": {"group": "messaging.knative.dev", "resource": "inmemorychannels", "verb": "patch"},
    }
    answer = kit.user.create({"spec": question}, "apis/authorization.k8s.io/v1/subjectaccessreviews")
    assert answer["status"]["allowed"] is True


# --- new_trigger_filters/feature.go


FILTERS = [
    pytest.param([{"exact": {"type": "a.b", "source": "/s"}}], {"a.b": True, "a.c": False}, id="exact"),
    pytest.param([{"prefix": {"type": "a.", "source": "/"}}], {"a.b": True, "b.c": False}, id="prefix"),
    pytest.param([{"suffix": {"type": ".b", "source": "s"}}], {"a.b": True, "a.c": False}, id="suffix"),
    pytest.param([{"cesql": "type = 'a.b' AND source = '/s'"}], {"a.b": True, "a.c": False}, id="cesql"),
    pytest.param(
        [{"any": [
            {"exact": {"type": "exact.event.type"}}, {"prefix": {"type": "prefix"}}, {"suffix": {"type": "suffix"}},
            {"not": {"cesql": "type LIKE '%event.type%'"}}, {"cesql": "type = 'cesql.event.type'"},
        ]}],
        {"exact.event.type": True, "prefix.event.type": True, "event.type.suffix": True, "not.type.event": True,
         "cesql.event.type": True, "not.event.type": False},
        id="any",
    ),
    pytest.param(
        [{"all": [
            {"exact": {"type": "exact.prefix.suffix.event.type"}}, {"prefix": {"type": "exact.prefix"}},
            {"suffix": {"type": "suffix.event.type"}}, {"cesql": "type LIKE 'exact.prefix.suffix%'"},
        ]}],
        {"not.event.type": False, "exact.prefix.suffix.event": False,
         "exact.prefix.suffix.event.suffix.event.type": False, "exact.prefix.suffix.event.type": True},
        id="all",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "events"), FILTERS)
def test_new_trigger_filters(kit: Kit, filters: list[Json], events: Mapping[str, bool]) -> None:
    sink, receiver = kit.receiver()
    broker = kit.broker()
    kit.trigger(broker, kit.service(sink), filters=filters)
    for type in sorted(events, key=lambda each: events[each]):  # those that pass come last
        kit.event("Broker", broker, type=type, source="/s")
    expected = {type for type, passes in events.items() if passes}
    assert {got.attributes["type"] for got in kit.until(receiver, len(expected))} == expected


# --- sequence/feature.go, parallel/features.go


TEMPLATE = {"apiVersion": MESSAGING, "kind": "InMemoryChannel"}


def test_sequence(kit: Kit) -> None:
    steps = [kit.receiver("step", reply=appended(f"-step{number}"))[0] for number in (1, 2, 3)]
    sink, receiver = kit.receiver()
    spec = {"channelTemplate": TEMPLATE, "reply": kit.service(sink), "steps": [kit.service(step) for step in steps]}
    name = kit.install(FLOWS, "Sequence", kit.name("sequence"), spec)
    kit.ready("Sequence", name)
    headers, _ = full_event(type="dev.knative.sources.ping")
    assert kit.send("Sequence", name, {**headers, "content-type": "text/plain"}, b"TestSequence") == 202
    (got,) = kit.until(receiver, 1)
    assert got.body == b"TestSequence-step1-step2-step3"
    assert (got.headers["content-type"], got.attributes["type"]) == ("text/plain", "dev.knative.sources.ping")


def test_parallel_with_two_branches(kit: Kit) -> None:
    sink, receiver = kit.receiver()
    subscribers = [kit.receiver("subscriber", reply=appended(f" and {number}"))[0] for number in (0, 1)]
    passes, _ = kit.receiver("filter", reply=transformed("myevent", "http://sender.svc/", '{"msg":"test msg"}'))
    stops, _ = kit.receiver("filter")
    branches = [
        {"filter": kit.service(chosen), "subscriber": kit.service(subscriber)}
        for chosen, subscriber in zip((passes, stops), subscribers, strict=True)
    ]
    spec = {"channelTemplate": TEMPLATE, "branches": branches, "reply": kit.service(sink)}
    name = kit.install(FLOWS, "Parallel", kit.name("parallel"), spec)
    kit.ready("Parallel", name)
    kit.event("Parallel", name)
    (got,) = kit.until(receiver, 1)
    assert got.body == b'{"msg":"test msg"} and 0'


# --- trigger/feature.go


def test_dependency_annotation(kit: Kit) -> None:
    sink, _ = kit.receiver()
    broker, name, source = kit.broker(), kit.name("trigger"), kit.name("ping")
    depends = json.dumps({"kind": "PingSource", "name": source, "apiVersion": "sources.knative.dev/v1"})
    spec = {"broker": broker, "subscriber": kit.service(sink)}
    kit.install(EVENTING, "Trigger", name, spec, annotations={"knative.dev/dependency": depends})
    kit.ready("Trigger", name, "False")
    uri = kit.get("Broker", broker)["status"]["address"]["url"]
    data = {"schedule": "*/1 * * * *", "contentType": "text/plain", "data": "Test trigger-annotation"}
    kit.install(PING, "PingSource", source, {**data, "sink": {"uri": uri}})
    kit.ready("PingSource", source)
    kit.ready("Trigger", name)
