from __future__ import annotations

import asyncio

import pytest

from core.inside import Reply
from eventing.delivery import Answered, Malformed, NoAnswer
from eventing.sender import Result, Sender, Target, read_reply
from tests.support.subscribers import Nowhere, Subscribers, event, with_event

ONE, TWO = (b'{"specversion":"1.0","id":"%d","source":"/s","type":"t"}' % number for number in (1, 2))
BATCH = b"[%b,%b]" % (ONE, TWO)


@pytest.mark.parametrize(
    ("reply", "outcome", "ids"),
    [
        pytest.param(Reply(200), Answered(200), [], id="empty"),
        pytest.param(Reply(204), Answered(204), [], id="no content"),
        pytest.param(with_event(event("r")), Answered(200), ["r"], id="a reply"),
        pytest.param(with_event(event("r"), 201), Answered(201), ["r"], id="a reply by another status"),
        pytest.param(with_event(event("r"), 202), Answered(202), [], id="202 is never a reply"),
        pytest.param(Reply(202, (), b"ok"), Answered(202, None, b"ok"), [], id="202 may have any body"),
        pytest.param(
            Reply(200, ((b"content-type", b"application/cloudevents-batch+json"),), BATCH),
            Answered(200, None, BATCH), ["1", "2"], id="a batch",
        ),
        pytest.param(with_event(event("r"), 500), Answered(500), [], id="a failure is no reply"),
        pytest.param(Reply(429, ((b"retry-after", b"7"),)), Answered(429, 7.0), [], id="Retry-After in seconds"),
        pytest.param(
            Reply(503, ((b"retry-after", b"Sat, 21 Nov 2026 00:00:00 GMT"),)), Answered(503), [], id="or as a date"
        ),
    ],
)  # fmt: skip
def test_what_an_answer_means(reply: Reply, outcome: Answered, ids: list[str]) -> None:
    result = read_reply(reply)
    assert (result.outcome, [each.id for each in result.replies]) == (outcome, ids)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, (), b"thanks"),
        Reply(200, ((b"ce-specversion", b"1.0"), (b"ce-id", b"1"))),
        Reply(200, ((b"content-type", b"application/cloudevents+json"),), b"{"),
    ],
)
def test_a_body_that_is_no_event_is_a_failure(reply: Reply) -> None:
    result = read_reply(reply)
    assert isinstance(result.outcome, Malformed)
    assert result.outcome.status == 200
    assert not result.replies


def send(people: Subscribers, target: Target) -> Result:
    return asyncio.run(Sender(people, Nowhere()).send(event("1", data='{"a": 1}', traceparent="00-ab-cd-01"), target))


def test_an_event_is_sent_with_what_the_subscriber_may_know() -> None:
    people = Subscribers({"fn.default.svc:8080": lambda got: Reply(200)})
    send(people, Target("http://user:word@FN.default.svc:8080/path?q=1", "shop", 5))
    (call,) = people.calls
    assert (call.method, call.host, call.target) == (b"POST", b"fn.default.svc:8080", b"/path?q=1")
    assert call.value(b"prefer") == b"reply"
    assert call.value(b"kn-namespace") == b"shop"
    assert call.value(b"traceparent") == b"00-ab-cd-01"
    assert (call.value(b"ce-id"), call.body) == (b"1", b'{"a": 1}')


def test_an_event_may_be_sent_whole_and_without_asking_for_a_reply() -> None:
    people = Subscribers({"fn": lambda got: with_event(event("r"))})
    result = send(people, Target("http://fn", "", 5, structured=True, wants_reply=False))
    (call,) = people.calls
    assert (call.value(b"content-type") or b"").startswith(b"application/cloudevents+json")
    assert call.value(b"prefer") is None
    assert call.value(b"kn-namespace") is None
    assert call.target == b"/"
    assert not result.replies


def test_a_reply_may_be_asked_for_that_nobody_gets() -> None:
    people = Subscribers({"fn": lambda got: Reply(200, (), b"thanks")})
    result = send(people, Target("http://fn", "", 5, keeps_reply=False))
    assert people.calls[0].value(b"prefer") == b"reply"
    assert result == Result(Answered(200, None, b"thanks"))


def test_who_is_here_can_be_woken() -> None:
    people = Subscribers({"fn": lambda got: Reply(200)})
    sender = Sender(people, Nowhere())
    sender.wake("http://fn/path")
    sender.wake("http://outside.example/")
    assert people.woken == ["fn"]


def test_what_is_not_served_here_goes_outside() -> None:
    result = send(Subscribers(), Target("http://outside.example/x", "", 5))
    assert result.outcome == NoAnswer("http://outside.example/x cannot be reached")


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("bad://uri", NoAnswer("bad://uri is not HTTP; nothing can be sent by 'bad'", again=False)),
        ("http://fake.svc.cluster.local", NoAnswer("there is no fake.svc.cluster.local here")),
        ("http://fn.default.svc:8080/a", NoAnswer("there is no fn.default.svc:8080 here")),
        ("http://elsewhere.example", NoAnswer("http://elsewhere.example cannot be reached")),
    ],
)
def test_what_cannot_be_reached(url: str, outcome: NoAnswer) -> None:
    assert send(Subscribers(), Target(url, "default", 1.0)).outcome == outcome
