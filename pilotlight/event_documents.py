"""What the console tells about events, as JSON: the shapes that the command line reads. Pure."""

from __future__ import annotations

import orjson

from core.resources.meta import Json
from eventing.chronicle import Happening
from eventing.codec import encode_structured
from eventing.event import Event
from eventing.hops import stripped
from eventing.log.base import Attempt, DeadLetter, Record
from eventing.replay import Failure, ReplayFeed
from eventing.why import Answer, Verdict, public


def why_document(id: str, answer: Answer) -> Json:
    found = [
        {
            "stream": finding.stream,
            "offset": finding.record.offset,
            "time": finding.record.time_ms / 1000,
            "event": public(finding.record.event),
            "subscriptions": [_verdict(verdict) for verdict in finding.verdicts],
        }
        for finding in answer.findings
    ]
    return {"id": id, "found": found, "deadLetters": [letter_document(letter) for letter in answer.letters]}


def _verdict(verdict: Verdict) -> Json:
    return {
        "subscription": verdict.subscription,
        "state": verdict.state,
        "text": verdict.text,
        "time": verdict.time,
        "code": verdict.code,
        "attempts": [_attempt(attempt) for attempt in verdict.attempts],
        "deadLetter": verdict.letter,
    }


def _attempt(attempt: Attempt) -> Json:
    return {"number": attempt.number, "time": attempt.time_ms / 1000, "code": attempt.code, "reason": attempt.reason}


def letter_document(letter: DeadLetter, *, whole: bool = False) -> Json:
    shown: Json = {
        "number": letter.number,
        "subscription": letter.subscription,
        "stream": letter.stream,
        "offset": letter.offset,
        "time": letter.time_ms / 1000,
        "reason": letter.reason,
        "fate": letter.fate,
        "attempts": [_attempt(attempt) for attempt in letter.attempts],
        "event": public(letter.event) if letter.event is not None else None,
    }
    return {**shown, "event": _with_data(letter.event)} if whole and letter.event is not None else shown


def _with_data(event: Event) -> Json:
    """As the JSON format has it."""
    document: Json = orjson.loads(encode_structured(stripped(event))[1])
    return document


def happening_document(happening: Happening, *, with_data: bool) -> Json:
    return {
        "what": happening.what,
        "time": happening.time,
        "about": happening.about,
        "offset": happening.offset,
        "code": happening.code,
        "text": happening.text,
        "event": _with_data(happening.event) if with_data else public(happening.event),
    }


def failure_document(failure: Failure) -> Json:
    return {"what": "failed", "offset": failure.offset, "reason": failure.reason, "event": public(failure.event)}


def counts_document(feed: ReplayFeed) -> Json:
    counts = feed.counts
    return {
        "next": counts.next,
        "to": feed.end,
        "matched": counts.matched,
        "delivered": counts.delivered,
        "failed": counts.failed,
        "lost": counts.lost,
    }


def record_document(record: Record) -> Json:
    offset, time_ms, event = record
    return {"what": "would-send", "offset": offset, "time": time_ms / 1000, "event": public(event)}
