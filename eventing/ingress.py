"""Events over HTTP: the site (`core.inside.Site`) at which brokers, channels and sinks are reached.

POST takes one event or a batch and answers 202 once all of it is stored (an intake may have more to say: its result is
then a `Reply`); OPTIONS is the webhook handshake. Every other answer is `application/problem+json` with a sentence that
says what was found and what is allowed. Runs on the gateway's loop for each event: no task, no log line unless
something of ours is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import orjson
import structlog

from core.errors import ApiError, TemporaryError
from core.inside import Call, Fields, Reply
from eventing.attributes import Invalid
from eventing.codec import DEFAULT_LIMITS, decode
from eventing.entrance import Entrance
from eventing.intake import Stored
from eventing.webhook import ALLOW, grant

Find: TypeAlias = Callable[[Call], Entrance | None]
Done: TypeAlias = Callable[[Reply], None]

RETRY_AFTER_S: Final = 1
"""Where whoever refuses knows nothing better."""
ACCEPTED: Final = Reply(202)

_log = structlog.get_logger()


def by_path(entrances: Mapping[bytes, Entrance]) -> Find:
    """Finds an entrance by the call's path, such as `/default/orders`: brokers and sinks share one host."""

    def find(call: Call) -> Entrance | None:
        return entrances.get(call.target) or entrances.get(call.target.partition(b"?")[0])

    return find


def by_host(entrances: Mapping[bytes, Entrance]) -> Find:
    """Finds an entrance by the call's host (lower case, no port), at its root: a channel has a host of its own."""

    def find(call: Call) -> Entrance | None:
        if call.target.partition(b"?")[0] != b"/":
            return None
        return entrances.get(call.host.lower()) or entrances.get(call.host.lower().rpartition(b":")[0])

    return find


class Ingress:
    """Answers for all entrances that `find` finds. `what` they are is for sentences: broker, channel, sink."""

    def __init__(self, find: Find, what: str, body_bytes_max: int = DEFAULT_LIMITS.batch_bytes) -> None:
        self._find = find
        self._what = what
        self.body_bytes_max = body_bytes_max

    def answer(self, call: Call, done: Done) -> None:
        """`core.inside.Site`."""
        if call.method == b"POST":
            self._post(call, done)
        elif call.method == b"OPTIONS":
            done(self._options(call))
        else:
            method = call.method.decode("latin-1")
            done(problem(405, "MethodNotAllowed", f"{method} is not answered here; POST events.", fields=(ALLOW,)))

    def _post(self, call: Call, done: Done) -> None:
        entrance = self._find(call)
        if entrance is None:
            done(self._unknown(call))
            return
        events = decode(call.fields, call.body, entrance.terms.limits)
        if isinstance(events, Invalid):
            entrance.counts.refused += 1
            done(invalid(events))
            return
        if not events:
            done(problem(400, "EmptyBatch", "The batch is empty; 202 stands for events that are stored."))
            return
        try:
            stored = entrance.take(events)
        except Exception as error:  # whatever an intake raises, the producer is answered
            done(failure(error))
            return
        if stored.done():
            _settled(done, stored)
        else:
            stored.add_done_callback(partial(_settled, done))

    def _options(self, call: Call) -> Reply:
        entrance = self._find(call)
        if entrance is None:
            return self._unknown(call)
        fields = grant(call.fields, entrance.terms.welcome)
        return invalid(fields) if isinstance(fields, Invalid) else Reply(200, fields)

    def _unknown(self, call: Call) -> Reply:
        where = call.target.partition(b"?")[0].decode("latin-1")[:200]
        return problem(404, "NotFound", f"There is no {self._what} at {where} of this host.")


def _settled(done: Done, stored: Stored) -> None:
    if stored.cancelled():
        done(failure(TemporaryError("The platform is stopping; nothing was stored.")))
    elif (error := stored.exception()) is not None:
        done(failure(error))
    else:
        said = stored.result()
        done(said if isinstance(said, Reply) else ACCEPTED)


def invalid(found: Invalid) -> Reply:
    """What is said of a message that is no event, or no batch of events."""
    reason = {413: "TooLarge", 415: "UnsupportedFormat"}.get(found.status, "InvalidEvent")
    if found.position is None:
        return problem(found.status, reason, found.detail, {"attribute": found.attribute} if found.attribute else {})
    faults = [{"event": one.position, "attribute": one.attribute, "detail": one.detail} for one in (found, *found.also)]
    return problem(found.status, reason, f"Nothing of the batch was taken. {found.detail}", {"faults": faults})


def failure(error: BaseException) -> Reply:
    """What is said where an intake refuses or fails. Nothing was stored, as far as anybody knows."""
    if isinstance(error, ApiError):
        retry_after_s = error.retry_after_s or (RETRY_AFTER_S if error.code in (429, 503, 507) else None)
        return problem(error.code, error.reason, error.message, fields=_retry_after(retry_after_s))
    if isinstance(error, TemporaryError):
        return problem(503, "Unavailable", str(error), fields=_retry_after(int(error.retry_after_s or RETRY_AFTER_S)))
    _log.error("events were not stored", error=repr(error))
    return problem(500, "InternalError", "The events could not be stored.")


def problem(
    status: int, reason: str, detail: str, members: Mapping[str, Any] | None = None, fields: Fields = ()
) -> Reply:
    """A refusal, as RFC 9457 has it."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = orjson.dumps({**document, "reason": reason, **(members or {})}, option=orjson.OPT_APPEND_NEWLINE)
    return Reply(status, ((b"content-type", b"application/problem+json"), *fields), body)


def _retry_after(seconds: int | None) -> Fields:
    return () if seconds is None else ((b"retry-after", str(max(seconds, 1)).encode()),)
