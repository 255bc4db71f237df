"""What an instance says of the work that it has in hand: where it is asked, and what its answer means. Pure.

Only the instance knows of a message that it has taken and not finished. `deploy/working` asks; whoever chooses the
instances to stop, and whoever stops one, goes by the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson

from core.resources.meta import Json
from core.resources.pilotlight import IN_FLIGHT, IN_FLIGHT_FILE, IN_FLIGHT_PATH, IN_FLIGHT_UNKNOWN

KEY: Final = "inFlight"
_PATH: Final = re.compile(r"(?::(?P<port>[\w-]+))?(?P<path>/.*)")


@dataclass(frozen=True, slots=True)
class AskHttp:
    """`port` is a number, a name, or empty for the one that serves."""

    port: str
    path: str


@dataclass(frozen=True, slots=True)
class AskFile:
    path: str


Question: TypeAlias = AskHttp | AskFile


def question_of(annotations: Mapping[str, str]) -> Question | None:
    """None where its template asks nothing, or not in words that are understood."""
    if (path := annotations.get(IN_FLIGHT_PATH)) is not None:
        found = _PATH.fullmatch(path)
        return AskHttp(found["port"] or "", found["path"]) if found else None
    if (path := annotations.get(IN_FLIGHT_FILE)) is not None:
        return AskFile(path) if path.startswith("/") else None
    return None


def complaints(annotations: Mapping[str, str]) -> list[str]:
    """What is asked in words that are not understood."""
    if question_of(annotations) is not None:
        return []
    allowed = {IN_FLIGHT_PATH: "a path such as /in-flight, or :9000/in-flight", IN_FLIGHT_FILE: "an absolute path"}
    return [
        f"metadata.annotations[{name}] is {annotations[name]!r}; {words} is allowed, so its work is not asked for"
        for name, words in allowed.items()
        if name in annotations
    ]


def read_answer(text: str) -> int | None:
    """A whole number, alone or as `{"inFlight": 3}`; None: it cannot be understood."""
    text = text.strip()
    if text.startswith("{"):
        try:
            found = orjson.loads(text)[KEY]
        except (orjson.JSONDecodeError, KeyError):
            return None
        return found if type(found) is int and found >= 0 else None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def in_words(count: int | None) -> str:
    """As the Pod's annotation has it."""
    return IN_FLIGHT_UNKNOWN if count is None else str(count)


def in_hand(pod: Json) -> int:
    """What its Pod says now; 1 where it is asked and not understood: unknown is not idle."""
    said = (pod["metadata"].get("annotations") or {}).get(IN_FLIGHT, "0")
    return int(said) if said.isdigit() else 1
