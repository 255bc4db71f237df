"""One attempt: an event to a URL, and what came back as an outcome and perhaps as events.

The dispatcher calls it. What the gateway serves is called in this process; the rest goes out through `OutsideClient`.
Knows nothing of retries, of logs, of who will get the reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol
from urllib.parse import urlsplit

from core.inside import Call, Caller, CallFailed, Reply
from eventing.attributes import Invalid
from eventing.codec import decode, encode_binary, encode_structured, is_event
from eventing.delivery import Answered, Malformed, NoAnswer, Outcome
from eventing.event import Event
from eventing.hops import stripped

EXCERPT_BYTES: Final = 1024
"""Of a failing answer's body: what a dead letter says in `knativeerrordata`."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an event goes. `structured`: as JSON, whole. `namespace` is that of the trigger, told to the subscriber.

    A channel's subscriber is asked for a reply even where nobody gets it (`keeps_reply` False), as Knative's are.
    """

    url: str
    namespace: str
    timeout_s: float
    structured: bool = False
    wants_reply: bool = True
    keeps_reply: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    outcome: Outcome
    replies: Sequence[Event] = ()


class Outside(Protocol):
    """`core.clients.http.OutsideClient`."""

    async def call(self, url: str, call: Call, timeout_s: float) -> Reply:
        """CallFailed."""


class Sender:
    def __init__(self, caller: Caller, outside: Outside) -> None:
        self._caller = caller
        self._outside = outside

    def wake(self, url: str) -> None:
        """An event is about to go there."""
        host, _ = _parts(url)
        if self._caller.serves(host):
            self._caller.wake(host)

    async def send(self, event: Event, target: Target) -> Result:
        """Never raises: whatever happens is an outcome."""
        fields, body = (encode_structured if target.structured else encode_binary)(stripped(event))
        if target.wants_reply:
            fields += ((b"prefer", b"reply"),)
        if target.namespace:
            fields += ((b"kn-namespace", target.namespace.encode()),)
        if (trace := event.attributes.get("traceparent")) is not None:
            fields += ((b"traceparent", str(trace).encode()),)
        if (scheme := target.url.partition(":")[0].lower()) not in ("http", "https"):
            return Result(NoAnswer(f"{target.url} is not HTTP; nothing can be sent by {scheme!r}", again=False))
        host, path = _parts(target.url)
        call = Call(b"POST", host, path, fields, body)
        try:
            if self._caller.serves(host):
                reply = await self._caller.call(call, target.timeout_s)
            elif _is_inside(host):
                return Result(NoAnswer(f"there is no {host.decode()} here"))
            else:
                reply = await self._outside.call(target.url, call, target.timeout_s)
        except CallFailed as error:
            return Result(NoAnswer(str(error)))
        return read_reply(reply) if target.wants_reply and target.keeps_reply else Result(_answered(reply))


def read_reply(reply: Reply) -> Result:
    """An answer with an event is a reply, but a 202 never is; one with anything else in it is a failure.

    Knative's data plane specification: a body that is no event must not be taken for success, or it would be lost.
    """
    if not 200 <= reply.status < 300 or reply.status == 202:
        return Result(_answered(reply))
    if is_event(reply.fields):
        events = decode(reply.fields, reply.body)
        if isinstance(events, Invalid):
            return Result(Malformed(reply.status, events.detail))
        return Result(_answered(reply), [stripped(event) for event in events])
    if reply.body:
        why = "it has a body that is not a CloudEvent; a reply is an event, or empty"
        return Result(Malformed(reply.status, why))
    return Result(_answered(reply))


def _answered(reply: Reply) -> Answered:
    return Answered(reply.status, _retry_after(reply.value(b"retry-after")), reply.body[:EXCERPT_BYTES])


def _retry_after(value: bytes | None) -> float | None:
    """Seconds. The form with a date is the dispatcher's clock against another's: it is not read."""
    return float(value) if value is not None and value.isdigit() and len(value) < 10 else None


def _is_inside(host: bytes) -> bool:
    """A name of a cluster's own: whoever is asked for it outside does not know it, and takes long to say so."""
    return host.partition(b":")[0].endswith((b".svc", b".svc.cluster.local"))


@lru_cache(maxsize=4096)
def _parts(url: str) -> tuple[bytes, bytes]:
    """Host with port, and path with query."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return parts.netloc.rpartition("@")[2].lower().encode(), (f"{path}?{parts.query}" if parts.query else path).encode()
