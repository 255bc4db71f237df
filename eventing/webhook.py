"""The webhook handshake (CloudEvents `http-webhook` 1.0.2, section 4): may events be sent here, and how many a minute?

The receiver grants in the answer to OPTIONS; a status alone grants nothing. The sender asks before it delivers to a
stranger. Pure: header fields in, header fields or a permission out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.inside import Fields
from eventing.attributes import Invalid, shown

REQUEST_ORIGIN: Final = b"webhook-request-origin"
REQUEST_RATE: Final = b"webhook-request-rate"
REQUEST_CALLBACK: Final = b"webhook-request-callback"
ALLOWED_ORIGIN: Final = b"webhook-allowed-origin"
ALLOWED_RATE: Final = b"webhook-allowed-rate"
ALLOW: Final = (b"allow", b"POST, OPTIONS")
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Welcome:
    """Whose events a receiver agrees to take, and how many requests a minute of each; None is any number."""

    origins: tuple[str, ...] = (ANY,)
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """What a receiver has granted. `rate`: requests a minute, None is any number."""

    rate: int | None


def grant(fields: Sequence[tuple[bytes, bytes]], welcome: Welcome) -> Fields | Invalid:
    """The fields of the answer to OPTIONS: consent if the asker named itself and is welcome, else only `Allow`.

    A callback is not called: the answer is in hand at once, and a stranger's URL is not ours to visit.
    """
    origin = _value(fields, REQUEST_ORIGIN)
    rate = _value(fields, REQUEST_RATE)
    if rate is not None and _rate(rate) is None:
        found = shown(rate.decode("latin-1"))
        return Invalid(f"WebHook-Request-Rate is {found}; a number of requests a minute from 1 is allowed.")
    if not origin:
        return (ALLOW,)
    if ANY in welcome.origins:
        allowed = ANY.encode()
    elif origin.decode("latin-1").lower() in welcome.origins:
        allowed = origin
    else:
        return (ALLOW,)
    granted = ANY if welcome.rate is None else str(welcome.rate)
    return (ALLOW, (ALLOWED_ORIGIN, allowed), (ALLOWED_RATE, granted.encode()))


def question(origin: str, rate: int | None = None) -> Fields:
    """The fields of the OPTIONS request with which a sender asks. `origin` goes into every delivery, too."""
    asked: list[tuple[bytes, bytes]] = [(REQUEST_ORIGIN, origin.encode())]
    if rate is not None:
        asked.append((REQUEST_RATE, str(rate).encode()))
    return tuple(asked)


def permission(fields: Sequence[tuple[bytes, bytes]], origin: str) -> Permission | None:
    """What the answer permits, whatever its status; None: nothing. An allowed rate that is missing bounds nothing."""
    allowed = _value(fields, ALLOWED_ORIGIN)
    if allowed is None or allowed.decode("latin-1").lower() not in (ANY, origin.lower()):
        return None
    rate = _value(fields, ALLOWED_RATE)
    if rate is None or rate == ANY.encode():
        return Permission(None)
    number = _rate(rate)
    return None if number is None else Permission(number)


def _value(fields: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value for other, value in fields if other == name), None)


def _rate(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 9 and int(value) > 0 else None
