"""What `events` and `dlq` print: the console's documents in, lines out. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from core.resources.meta import Json

LETTER_HEADER: Final = ("NUMBER", "SUBSCRIPTION", "TYPE", "ID", "TIME", "TRIES", "CODE", "FATE", "REASON")
STANDING_HEADER: Final = (
    *("NAMESPACE", "SUBSCRIPTION", "STREAM", "BACKLOG", "IN FLIGHT", "RETRYING", "DEAD", "STATE"),
)
_REASON_MAX: Final = 60


def happening_line(happening: Json) -> str:
    """One line of `events tail`."""
    what = happening["what"]
    if what == "missed":
        return f"… {happening['count']} more that were told faster than they were read"
    where = happening["about"] if happening["offset"] is None else f"{happening['about']}@{happening['offset']}"
    said = " ".join(str(part) for part in (happening["code"], happening["text"]) if part not in (None, ""))
    return f"{_clock(happening['time'])}  {what:<11}  {where}  {event_text(happening['event'])}  {said}".rstrip()


def event_text(event: Json | None) -> str:
    """`com.example.order 17`: what an event is known by."""
    return "(damaged)" if event is None else f"{event['type']} {event['id']}"


def why_lines(answer: Json) -> Iterator[str]:
    """What became of an event, one block for each time it was accepted."""
    for found in answer["found"]:
        yield f"{event_text(found['event'])} from {found['event']['source']}"
        yield f"{found['stream']}, offset {found['offset']}, accepted {_day(found['time'])}"
        width = max((len(each["subscription"]) for each in found["subscriptions"]), default=0)
        for verdict in found["subscriptions"]:
            when = _clock(verdict["time"]) if verdict["time"] else ""
            head = f"  {verdict['subscription']:<{width}}  {verdict['state']:<11}"
            yield f"{head}  {when:<12}  {verdict['text']}".rstrip()
            yield from (f"    {line}" for line in _attempts(verdict["attempts"]))
        if not found["subscriptions"]:
            yield "  no subscription"
        yield ""
    for letter in answer["deadLetters"]:
        yield from letter_lines(letter)
        yield ""


def letter_row(letter: Json) -> Sequence[str]:
    attempts, event = letter["attempts"], letter["event"] or {}
    code = attempts[-1]["code"] if attempts else None
    reason = " ".join(letter["reason"].split())
    return (
        str(letter["number"]),
        letter["subscription"],
        event.get("type", "(damaged)"),
        event.get("id", ""),
        _day(letter["time"]),
        str(len(attempts)),
        "" if code is None else str(code),
        letter["fate"],
        reason if len(reason) <= _REASON_MAX else f"{reason[: _REASON_MAX - 1]}…",
    )


def letter_lines(letter: Json) -> Iterator[str]:
    """One dead letter, whole."""
    yield f"Number:        {letter['number']}"
    yield f"Subscription:  {letter['subscription']}"
    offset = "" if letter["offset"] is None else f", offset {letter['offset']}"
    yield f"Stream:        {letter['stream']}{offset}"
    yield f"Time:          {_day(letter['time'])}"
    yield f"Fate:          {letter['fate']}"
    yield f"Reason:        {letter['reason']}"
    yield "Attempts:"
    yield from (f"  {line}" for line in _attempts(letter["attempts"]))
    yield "Event:"
    for name, value in (letter["event"] or {}).items():
        yield f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def standing_row(standing: Json) -> Sequence[str]:
    return (
        standing["namespace"],
        f"{standing['kind']}/{standing['name']}",
        standing["stream"] or "",
        *(str(standing[name]) for name in ("backlog", "inFlight", "retrying", "deadLetters")),
        standing["state"],
    )


def progress_text(counts: Json) -> str:
    """How far a replay is."""
    lost = f", {counts['lost']} damaged" if counts["lost"] else ""
    return f"{counts['delivered']} delivered, {counts['failed']} failed of {counts['matched']} that match{lost}"


def _attempts(attempts: Sequence[Json]) -> Iterator[str]:
    for attempt in attempts:
        code = "-" if attempt["code"] is None else attempt["code"]
        yield f"{attempt['number']:>3}  {_clock(attempt['time'])}  {code}  {attempt['reason']}"


def _clock(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _day(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%Y-%m-%d %H:%M:%S")
