"""Knative Eventing's published conformance tests, replayed: sources, sinks, event types, and how events are delivered.

(test/rekt/features of knative/eventing; brokers, channels and flows are in test_conformance_eventing.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise

import pytest

from tests.support.conformance import EVENTING, NAMESPACE, PING, SINKS, Kit, address, collection, conforming
from tests.support.eventshub import Answer, Got, Json, full_event
from tests.support.platform import Platform
from tests.support.user import User

pytestmark = pytest.mark.kubectl
JOBS = f"apis/batch/v1/namespaces/{NAMESPACE}/jobs"
SECRETS = f"api/v1/namespaces/{NAMESPACE}/secrets"


@pytest.fixture(scope="module")
def kit(platform: Platform, user: User) -> Iterator[Kit]:
    with conforming(platform, user) as kit:
        yield kit


# --- broker/feature.go: BrokerWithManyTriggers


ANY = ""
ONE, TWO = "http://source1.com", "http://source2.com"
FILTERS: list[Json] = [
    {"type": type, "source": source, **extensions}
    for type, source, extensions in (
        (ANY, ANY, {}),
        ("type1", ANY, {}),
        (ANY, ONE, {}),
        ("type1", ONE, {}),
        (ANY, ANY, {"extname1": "extval1"}),
        (ANY, ANY, {"extname1": "extval1", "extname2": "extvalue2"}),
        (ANY, ANY, {"extname2": "extvalue2"}),
        ("type1", ANY, {"extname1": "extval1"}),
        (ANY, ANY, {"extname1": ANY}),
        (ANY, ONE, {"extname1": "extval1"}),
        (ANY, ONE, {"extname1": "extval1", "extname2": "extvalue2"}),
        (ANY, TWO, {"extname1": "extval1", "extname2": "extval1"}),
    )
]
EVENTS: list[dict[str, str]] = [
    {"type": type, "source": source, **extensions}
    for type, source, extensions in (
        ("type1", ONE, {}),
        ("type1", TWO, {}),
        ("type2", ONE, {}),
        ("type2", TWO, {}),
        ("type1", ONE, {"extname1": "extval1"}),
        ("type1", ONE, {"extname1": "extval1", "extname2": "extvalue2"}),
        ("type1", ONE, {"extname2": "extvalue2"}),
        ("type1", TWO, {"extname1": "extval1"}),
        ("type2", ONE, {"extname1": "nonmatchingextval"}),
        ("type2", TWO, {"nonmatchingextname": "extval1"}),
        ("type2", TWO, {"extname1": "extval1", "extname2": "extvalue2"}),
        ("type2", TWO, {"extname1": "extval1", "nonmatchingextname": "extvalue2"}),
    )
]


def test_a_broker_with_many_triggers(kit: Kit) -> None:
    broker = kit.broker()
    receivers = []
    for wanted in FILTERS:
        sink, receiver = kit.receiver("dumper")
        kit.trigger(broker, kit.service(sink), filter={"attributes": wanted})
        receivers.append(receiver)
    for number, event in enumerate(EVENTS):
        kit.event("Broker", broker, id=str(number), **event)

    def passes(wanted: Mapping[str, str], event: Mapping[str, str]) -> bool:
        return all(name in event and value in (ANY, event[name]) for name, value in wanted.items())

    for wanted, receiver in zip(FILTERS, receivers, strict=True):
        expected = {str(number) for number, event in enumerate(EVENTS) if passes(wanted, event)}
        assert {got.attributes["id"] for got in kit.until(receiver, len(expected))} == expected, wanted


# --- delivery: timeout, Retry-After, retried codes (specs/eventing/data-plane.md)


@pytest.mark.parametrize("code", [404, 408, 409, 429, 500, 503])
def test_codes_that_are_retried(kit: Kit, code: int) -> None:
    sink, receiver = kit.receiver(drop=1, refusal=Answer(code))
    broker = kit.broker({"retry": 1, "backoffDelay": "PT0.02S"})
    kit.trigger(broker, kit.service(sink))
    kit.event("Broker", broker)
    kit.until(receiver, 2)
    assert receiver.pattern == [False, True]


@pytest.mark.parametrize("code", [301, 400, 401, 403, 413, 422])
def test_codes_that_are_not_retried(kit: Kit, code: int) -> None:
    sink, receiver = kit.receiver(drop=1, refusal=Answer(code))
    dead, letters = kit.receiver("dead")
    broker = kit.broker({"retry": 3, "backoffDelay": "PT0.02S", "deadLetterSink": kit.service(dead)})
    kit.trigger(broker, kit.service(sink))
    kit.event("Broker", broker)
    assert kit.until(letters, 1)[0].attributes["knativeerrorcode"] == str(code)
    assert receiver.pattern == [False]


@pytest.mark.parametrize(("most", "least_wait_s"), [("PT5S", 0.98), ("PT0S", 0.0)])
def test_retry_after(kit: Kit, most: str, least_wait_s: float) -> None:
    sink, receiver = kit.receiver(drop=1, refusal=Answer(429, {"Retry-After": "1"}))
    broker = kit.broker({"retry": 1, "backoffPolicy": "linear", "backoffDelay": "PT0.05S", "retryAfterMax": most})
    kit.trigger(broker, kit.service(sink))
    kit.event("Broker", broker)
    ((first, second),) = pairwise([got.time for got in kit.until(receiver, 2)])
    assert least_wait_s <= second - first < least_wait_s + 0.9


def test_delivery_timeout(kit: Kit) -> None:
    def sleep(got: Got) -> Answer:
        time.sleep(1.5)
        return Answer()

    sink, receiver = kit.receiver(reply=sleep)
    dead, letters = kit.receiver("dead")
    broker = kit.broker({"timeout": "PT0.3S", "deadLetterSink": kit.service(dead)})
    kit.trigger(broker, kit.service(sink))
    kit.event("Broker", broker)
    (letter,) = kit.until(letters, 1, 1.4)
    assert letter.attributes["knativeerrorcode"] == "-1"
    assert letter.attributes["knativeerrordest"] == address(sink)
    assert len(receiver.got) == 1


# --- pingsource/features.go


def test_a_ping_source(kit: Kit) -> None:
    sink, receiver = kit.receiver()
    data = {"contentType": "text/plain", "dataBase64": "aGVsbG8sIHdvcmxkIQ=="}
    name = kit.install(
        PING, "PingSource", kit.name("ping"), {"schedule": "* * * * * *", "sink": kit.service(sink), **data}
    )
    kit.ready("PingSource", name)
    (got, *_) = kit.until(receiver, 1)
    assert got.attributes["type"] == "dev.knative.sources.ping"
    assert got.attributes["source"] == f"/apis/v1/namespaces/{NAMESPACE}/pingsources/{name}"
    assert (got.headers["content-type"], got.body) == ("text/plain", b"hello, world!")
    assert got.headers["kn-namespace"] == NAMESPACE
    status = kit.get("PingSource", name)["status"]
    assert status["sinkUri"] == address(sink)
    assert status["ceAttributes"] == [{"type": "dev.knative.sources.ping", "source": got.attributes["source"]}]


def test_a_schedule_with_seconds_and_question_mark(kit: Kit) -> None:
    sink, _ = kit.receiver()
    spec = {"schedule": "10 0/1 * * * ?", "sink": kit.service(sink)}
    kit.ready("PingSource", kit.install(PING, "PingSource", kit.name("ping"), spec))


def test_event_types_of_what_passes_a_broker(kit: Kit) -> None:
    sink, receiver = kit.receiver()
    broker = kit.broker()
    kit.trigger(broker, kit.service(sink))
    uri = kit.get("Broker", broker)["status"]["address"]["url"]
    spec = {"schedule": "* * * * * *", "contentType": "text/plain", "data": "hello, world!", "sink": {"uri": uri}}
    kit.ready("PingSource", kit.install(PING, "PingSource", kit.name("ping"), spec))
    kit.until(receiver, 1)

    def present() -> bool:
        types = kit.user.items(collection("EventType"))
        ours = [each for each in types if each["spec"]["reference"]["name"] == broker]
        said = [{a["name"]: a.get("value") for a in each["spec"]["attributes"]} for each in ours]
        return any(each.get("type") == "dev.knative.sources.ping" for each in said)

    kit.user.until("the type is registered", present)


# --- trigger/crossnamespace.go


def test_a_trigger_in_another_namespace(kit: Kit) -> None:
    sink, receiver = kit.receiver()
    broker = kit.broker()
    reference = {"apiVersion": EVENTING, "kind": "Broker", "name": broker, "namespace": NAMESPACE}
    spec = {"brokerRef": reference, "subscriber": kit.service(sink)}
    document = {"apiVersion": EVENTING, "kind": "Trigger", "metadata": {"name": "across"}, "spec": spec}
    path = f"apis/{EVENTING}/namespaces/default/triggers"
    kit.user.create(document, path)
    kit.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "trigger/across")
    kit.event("Broker", broker)
    kit.until(receiver, 1)


# --- jobsink/jobsink.go


def test_a_job_sink(kit: Kit) -> None:
    container = {"name": "main", "image": "any", "command": ["/bin/sh", "-c", "cat /etc/jobsink-event/event"]}
    pod = {"restartPolicy": "Never", "runtimeClassName": "process", "containers": [container]}
    spec = {"job": {"spec": {"completions": 1, "parallelism": 1, "template": {"spec": pod}}}}
    name = kit.install(SINKS, "JobSink", kit.name("jobsink"), spec)
    kit.ready("JobSink", name)
    headers, body = full_event(type="job")
    for _ in range(2):  # sent again, it is the same Job
        assert kit.send("JobSink", name, headers, body) == 202
    ours = f"?labelSelector=sinks.knative.dev/job-sink-name%3D{name}"

    def complete() -> list[Json]:
        jobs = kit.user.items(f"{JOBS}{ours}")
        ends = [each for job in jobs for each in (job.get("status") or {}).get("conditions") or ()]
        return jobs if any(each["type"] == "Complete" and each["status"] == "True" for each in ends) else []

    (job,) = kit.user.until("the Job is complete", complete)
    assert json.loads(kit.kubectl("logs", "-n", NAMESPACE, f"job/{job['metadata']['name']}"))["id"] == "full-event"
    assert len(kit.user.items(f"{SECRETS}{ours}")) == 1
    kit.kubectl("delete", "job", "-n", NAMESPACE, "-l", f"sinks.knative.dev/job-sink-name={name}")
    kit.user.until("its Secret is gone", lambda: not kit.user.items(f"{SECRETS}{ours}"))
    for method in ("PUT", "DELETE"):
        assert kit.send("JobSink", name, headers, b"", method) == 405
