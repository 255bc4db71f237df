"""The words of the Kafka client: records, positions, and what goes wrong as errors of ours.

The modules `kafka_*` beside this one are the only ones that know kafka-python. What they do, they do on threads of
their own behind faces for the loop; constructors connect nowhere. What goes wrong leaves as PermanentError (refused,
and will be again), TooLarge, or TemporaryError.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from kafka import errors as kafka_errors

from core.clock import SystemClock
from core.errors import PermanentError, TemporaryError, TooLarge

CLOSE_S: Final = 3.0

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
Partition: TypeAlias = tuple[str, int]
"""A topic, and a number."""
Spot: TypeAlias = tuple[int, int]
"""A partition's number, and an offset in it."""

now = SystemClock.monotonic  # of threads, which no test's clock drives


class Received(NamedTuple):
    """A record where it lies."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Outgoing:
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size(self) -> int:
        return len(self.key or b"") + len(self.value or b"") + sum(len(n) + len(v or b"") for n, v in self.headers)


@dataclass(frozen=True, slots=True)
class Committed:
    """How far a group has come in a partition, and a note that whoever committed it left there."""

    offset: int
    note: str = ""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except kafka_errors.KafkaError as error:
        raise translate(error) from error


def translate(error: BaseException) -> Exception:
    """An exception of the client as one of ours. What is neither of Kafka nor of the network is a defect, and stays."""
    if not isinstance(error, (kafka_errors.KafkaError, OSError)):
        return error if isinstance(error, Exception) else RuntimeError(repr(error))
    if isinstance(error, (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)):
        return TooLarge("The event is larger than its topic takes.")
    why = unreachable(error)
    said = f"Kafka cannot be reached: {why}" if why else f"Kafka: {error}"
    if isinstance(error, _REFUSED):
        return PermanentError(said, type(error).__name__.removesuffix("Error"))
    if "bootstrap" in said:
        # kafka-python does not see why a server hangs up on it, so a wrong password looks like this, too.
        said += ". Nobody answers there, or not with this user, password and certificates"
    return TemporaryError(said)


def unreachable(error: BaseException) -> str:
    """Why nobody could be spoken to, in words: of the client's `KafkaConnectionError: 111 ECONNREFUSED`. Empty: it is
    another error."""
    why = str(error).removeprefix("KafkaConnectionError: ")
    if number := re.match(r"(\d+) E[A-Z]+\b", why):
        return os.strerror(int(number[1]))
    if why.startswith("DNS Resolution failure"):
        return "its name cannot be resolved"
    if not why.startswith("Handshake failed"):
        return ""
    known = "the broker's certificate cannot be verified" if "CERTIFICATE_VERIFY" in why else "no TLS is spoken there"
    return f"{known} ({why})"


_REFUSED: Final = (
    kafka_errors.AuthorizationError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidTopicError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.PolicyViolationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
)


def raise_code(code: int, about: str) -> None:
    if code:
        raise kafka_errors.for_code(code)(about)


async def joined(thread: threading.Thread) -> None:
    """Waits for its end without holding up the loop; one that hangs is left behind."""
    await asyncio.to_thread(thread.join, 2 * CLOSE_S)
