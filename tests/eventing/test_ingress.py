"""The site: each answer with its status, its reason and its sentence, and 202 only for what is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.errors import StoreFull, TemporaryError, TooLarge, TooManyRequests
from core.inside import Call, Fields, Reply
from core.resources.eventing_options import SchemaMode
from eventing.codec import Limits, encode_batch, encode_binary, encode_structured
from eventing.entrance import Entrance
from eventing.event import Event
from eventing.ingress import Ingress, by_host, by_path
from eventing.intake import Terms
from eventing.json_schema import compile_schema
from eventing.schemas import BadSchema, SchemaRule, Schemas, Template
from eventing.webhook import Welcome
from tests.support.clock import FakeClock, settle
from tests.support.events import PLAIN, plain
from tests.support.intake import FakeIntake

HOST = b"broker-ingress.localhost:8080"
BATCH = ((b"content-type", b"application/cloudevents-batch+json"),)


class Desk:
    """One broker `default/orders` behind an ingress."""

    def __init__(self, *, slow: bool = False, **terms: Any) -> None:
        self.intake = FakeIntake(slow=slow)
        self.entrance = Entrance(self.intake, self.intake.set_aside, Terms(**terms), FakeClock())
        self.site = Ingress(by_path({b"/default/orders": self.entrance}), "broker")
        self.replies: list[Reply] = []

    def ask(self, method: bytes, target: bytes, fields: Fields = (), body: bytes = b"") -> Reply | None:
        """The reply, if it came at once."""
        before = len(self.replies)
        self.site.answer(Call(method, HOST, target, fields, body), self.replies.append)
        return self.replies[-1] if len(self.replies) > before else None

    def post(self, fields: Fields, body: bytes) -> Reply:
        reply = self.ask(b"POST", b"/default/orders", fields, body)
        assert reply is not None
        return reply


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def document(reply: Reply) -> dict[str, Any]:
    """The problem, which every refusal is."""
    assert reply.value(b"content-type") == b"application/problem+json"
    found: dict[str, Any] = json.loads(reply.body)
    assert found["status"] == reply.status
    assert found["detail"].endswith(".")
    return found


@pytest.mark.parametrize(
    ("encoded", "events"),
    [
        (encode_binary(plain(b"\x00data", datacontenttype="a/b")), [plain(b"\x00data", datacontenttype="a/b")]),
        (encode_structured(plain(b'{"a": 1}')), [plain(b'{"a": 1}')]),
        (encode_batch([plain(id="a"), plain(id="b")]), [plain(id="a"), plain(id="b")]),
    ],
    ids=["binary", "structured", "batched"],
)
def test_taken(encoded: tuple[Fields, bytes], events: list[Event]) -> None:
    async def test() -> None:
        desk = Desk()
        assert desk.post(*encoded) == Reply(202)
        assert desk.intake.appends == [events]

    run(test)


def test_202_is_said_when_the_event_is_stored_and_not_before() -> None:
    async def test() -> None:
        desk = Desk(slow=True)
        assert desk.ask(b"POST", b"/default/orders", *encode_binary(plain())) is None
        await settle()
        assert desk.replies == []
        desk.intake.store()
        await settle()
        assert desk.replies == [Reply(202)]

    run(test)


@pytest.mark.parametrize(
    ("method", "target", "status", "words"),
    [
        (b"GET", b"/default/orders", 405, "GET is not answered here; POST events"),
        (b"PUT", b"/default/orders", 405, "PUT"),
        (b"HEAD", b"/default/orders", 405, "HEAD"),
        (b"POST", b"/default/nowhere", 404, "There is no broker at /default/nowhere"),
        (b"POST", b"/default/orders/", 404, "/default/orders/"),
        (b"POST", b"/", 404, "There is no broker at /"),
        (b"POST", b"/default", 404, "/default"),
        (b"OPTIONS", b"/default/nowhere", 404, "There is no broker"),
    ],
)
def test_wrong_places(method: bytes, target: bytes, status: int, words: str) -> None:
    desk = Desk()
    reply = desk.ask(method, target, *encode_binary(plain()))
    assert reply is not None
    assert reply.status == status
    assert words in document(reply)["detail"]
    assert reply.value(b"allow") == (b"POST, OPTIONS" if status == 405 else None)
    assert desk.intake.appends == []


def test_a_query_is_no_part_of_the_place() -> None:
    async def test() -> None:
        reply = Desk().ask(b"POST", b"/default/orders?x=/y", *encode_binary(plain()))
        assert reply == Reply(202)

    run(test)


@pytest.mark.parametrize(
    ("fields", "body", "status", "reason", "attribute"),
    [
        ((), b"", 400, "InvalidEvent", "specversion"),
        (((b"ce-id", b"1"),), b"", 400, "InvalidEvent", "specversion"),
        ((*encode_binary(plain())[0], (b"ce-time", b"noon")), b"", 400, "InvalidEvent", "time"),
        ((*encode_binary(plain())[0], (b"ce-x", b"%ff")), b"", 400, "InvalidEvent", "x"),
        (((b"content-type", b"application/cloudevents+json"),), b"{", 400, "InvalidEvent", None),
        (((b"content-type", b"application/cloudevents+xml"),), b"", 415, "UnsupportedFormat", None),
        (encode_binary(plain())[0], b"x" * 10_000_000, 413, "TooLarge", None),
        (BATCH, b"[]", 400, "EmptyBatch", None),
        (BATCH, b"{}", 400, "InvalidEvent", None),
    ],
)
def test_refused(fields: Fields, body: bytes, status: int, reason: str, attribute: str | None) -> None:
    desk = Desk()
    found = document(desk.post(fields, body))
    assert (found["status"], found["reason"], found.get("attribute")) == (status, reason, attribute)
    assert desk.intake.appends == []


def test_a_batch_is_taken_whole_or_not_at_all_and_every_fault_is_told() -> None:
    desk = Desk()
    body = json.dumps([PLAIN, {**PLAIN, "id": ""}, PLAIN, {**PLAIN, "specversion": "0.2"}]).encode()
    found = document(desk.post(BATCH, body))
    assert found["detail"].startswith(
        "Nothing of the batch was taken. Event 1 of the batch, counted from 0: id is empty"
    )
    assert [(fault["event"], fault["attribute"]) for fault in found["faults"]] == [(1, "id"), (3, "specversion")]
    assert desk.intake.appends == []


def test_the_limit_of_a_broker() -> None:
    async def test() -> None:
        desk = Desk(limits=Limits(event_bytes=100_000))
        assert desk.post(*encode_binary(plain(b"x" * 100_000))).status == 202
        assert desk.post(*encode_binary(plain(b"x" * 100_001))).status == 413

    run(test)


@pytest.mark.parametrize(
    ("error", "status", "reason", "retry_after"),
    [
        (TooManyRequests("The backlog is full.", retry_after_s=5), 429, "TooManyRequests", b"5"),
        (TooManyRequests("The backlog is full."), 429, "TooManyRequests", b"1"),
        (StoreFull("The disk is full."), 507, "InsufficientStorage", b"1"),
        (TooLarge("Kafka takes less."), 413, "RequestEntityTooLarge", None),
        (TemporaryError("Kafka is away.", retry_after_s=2.5), 503, "Unavailable", b"2"),
        (RuntimeError("secret"), 500, "InternalError", None),
    ],
)
@pytest.mark.parametrize("when", ["at once", "later"])
def test_storage_that_fails(error: Exception, status: int, reason: str, retry_after: bytes | None, when: str) -> None:
    async def test() -> None:
        desk = Desk(slow=True)
        if when == "at once":
            desk.intake.refuses = error
        desk.ask(b"POST", b"/default/orders", *encode_binary(plain()))
        if when == "later":
            desk.intake.fail(error)
        await settle()
        (reply,) = desk.replies
        found = document(reply)
        assert (found["status"], found["reason"]) == (status, reason)
        assert reply.value(b"retry-after") == retry_after
        assert "secret" not in found["detail"]

    run(test)


def test_storage_that_is_given_up_is_no_202() -> None:
    async def test() -> None:
        desk = Desk(slow=True)
        desk.ask(b"POST", b"/default/orders", *encode_binary(plain()))
        desk.intake.pending[0].cancel()
        await settle()
        assert [reply.status for reply in desk.replies] == [503]

    run(test)


def test_a_schema_that_refuses() -> None:
    compiled = compile_schema('{"type": "number"}')
    assert not isinstance(compiled, BadSchema)
    rule = SchemaRule(Template(plain().type), compiled)
    desk = Desk(schemas=Schemas([rule]), schema_mode=SchemaMode.REFUSE)
    found = document(desk.post(*encode_structured(plain(b'"x"'))))
    assert (found["status"], found["reason"]) == (422, "Invalid")
    assert "'x' is not of type 'number'" in found["detail"]


def test_the_handshake() -> None:
    desk = Desk(welcome=Welcome(rate=600))
    reply = desk.ask(b"OPTIONS", b"/default/orders", ((b"webhook-request-origin", b"x.example"),))
    assert reply is not None
    assert (reply.status, dict(reply.fields)) == (
        200,
        {b"allow": b"POST, OPTIONS", b"webhook-allowed-origin": b"*", b"webhook-allowed-rate": b"600"},
    )
    plain_options = desk.ask(b"OPTIONS", b"/default/orders")
    assert plain_options == Reply(200, ((b"allow", b"POST, OPTIONS"),))
    refused = desk.ask(b"OPTIONS", b"/default/orders", ((b"webhook-request-rate", b"many"),))
    assert refused is not None
    assert refused.status == 400


@pytest.mark.parametrize(
    ("host", "target", "status"),
    [
        (b"tv-kn-channel.default.svc.cluster.local", b"/", 202),
        (b"TV-kn-channel.default.svc.cluster.local:8080", b"/?a", 202),
        (b"tv-kn-channel.default.svc.cluster.local", b"/x", 404),
        (b"other", b"/", 404),
    ],
)
def test_a_channel_has_a_host_of_its_own(host: bytes, target: bytes, status: int) -> None:
    async def test() -> None:
        intake = FakeIntake()
        door = Entrance(intake, intake.set_aside, Terms(), FakeClock())
        site = Ingress(by_host({b"tv-kn-channel.default.svc.cluster.local": door}), "channel")
        replies: list[Reply] = []
        site.answer(Call(b"POST", host, target, *encode_binary(plain())), replies.append)
        assert [reply.status for reply in replies] == [status]

    run(test)
