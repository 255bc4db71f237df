"""What RabbitMQ's clients speak of: exchanges, queues, bindings, messages, and the two ways in which things fail.

Everything is durable. `core/clients/rabbitmq.py` takes and gives these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from core.errors import PermanentError, TemporaryError

NOT_FOUND: Final = 404


class RabbitmqDown(TemporaryError):
    """Nobody answers, or the connection was lost: whether what was under way has happened is not known."""


class RabbitmqRefused(TemporaryError):
    """It answered no. `code` is AMQP's. Whoever administers it may change that."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def again(error: TemporaryError | PermanentError) -> TemporaryError | PermanentError:
    """The same, for one more to raise who has waited for the same thing."""
    if isinstance(error, RabbitmqRefused):
        return RabbitmqRefused(str(error), error.code)
    if isinstance(error, PermanentError):
        return PermanentError(str(error), error.reason)
    return RabbitmqDown(str(error), error.retry_after_s)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Durable."""

    name: str
    type: str = "direct"


@dataclass(frozen=True, slots=True)
class Queue:
    """Durable. One that is there already stays as it is, whatever its type."""

    name: str
    type: str = "quorum"


@dataclass(frozen=True, slots=True)
class Binding:
    exchange: str
    queue: str
    key: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


Thing: TypeAlias = Exchange | Queue | Binding


@dataclass(frozen=True, slots=True)
class Content:
    """A message as it is published or consumed."""

    body: bytes
    content_type: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)
    message_id: str | None = None
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class Received:
    content: Content
    tag: int


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What RabbitMQ's statistics say of a queue: as of up to 10 s ago, for a queue tells them every 5 s
    (`collect_statistics_interval`), and they are gathered every 5 s (`management.sample_retention_policies`).

    Rates are of messages a second, over the last of these intervals. `published` and `acknowledged` count since the
    statistics began (None: they do not count this queue's), automatic acknowledgements among them. With `trouble` no
    number is known.
    """

    name: str
    messages: int = 0
    ready: int = 0
    unacknowledged: int = 0
    publish_rate: float = 0.0
    deliver_rate: float = 0.0
    published: float | None = None
    acknowledged: float | None = None
    trouble: str = ""
