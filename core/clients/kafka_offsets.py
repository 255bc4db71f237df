"""Where consumer groups stand: what many ask within moments goes to Kafka as one batch, over one connection a broker.

Whoever scales by lag borrows the one of its cluster and user. A batch leaves a few milliseconds after the first
question; in the long run, small ones leave a tenth of a second apart: a thousand askers cost as much as their answers,
and no request each. A batch that hangs holds up nobody who asks after it. What broke is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kafka import errors as kafka_errors

from core.clients.kafka_access import Access
from core.clients.kafka_positions import GroupPositions, GroupQuestion
from core.clients.kafka_terms import now, translate, unreachable
from core.clients.kafka_wire import BOOTSTRAP_S, REQUEST_S, Answer, Wire
from core.errors import PermanentError, TemporaryError

GATHERING_S: Final = 0.005
APART_S: Final = 0.1
CREDIT_MAX: Final = 32.0
"""Batches that may go at once after a time without any: those who are asked at the same moment do not wait."""
FULL: Final = 32
"""So many do not wait for others: what they cost together is theirs, and not the batch's."""
ANSWER_S: Final = BOOTSTRAP_S + REQUEST_S
BATCHES_MAX: Final = 4
"""Under way at once. One that hangs keeps its askers, so the others' next questions are in a batch without them."""

LOST_S: Final = 60.0
"""After which a batch that was never answered, not even with an error, is given up."""

_Waiting = tuple[GroupQuestion, "asyncio.Future[GroupPositions]"]


@dataclass(slots=True)
class _Batch:
    waiting: Sequence[_Waiting]
    wire: Wire | None = None
    settled: bool = False
    lost: asyncio.TimerHandle | None = None


class Offsets:
    """One cluster, as one user. Connects when it is first asked."""

    def __init__(self, access: Access, client_id: str) -> None:
        self._access = access
        self._client_id = client_id
        self._waiting: list[_Waiting] = []
        self._planned: asyncio.TimerHandle | None = None
        self._credit, self._accrued_at = CREDIT_MAX, now()
        self._under_way = 0
        self._wire: Wire | None = None
        self._settings: dict[str, Any] | None = None  # with the certificates as they are read, and the token in hand
        self._closings: set[asyncio.Future[None]] = set()

    async def ask(self, question: GroupQuestion) -> GroupPositions:
        """TemporaryError, PermanentError: nothing is known. It takes ANSWER_S at most."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[GroupPositions] = loop.create_future()
        self._waiting.append((question, answer))
        if len(self._waiting) == FULL and self._planned is not None:
            self._planned.cancel()
            self._planned = None
        self._plan()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise TemporaryError(f"Kafka at {self._where} did not answer within {ANSWER_S:g} s") from None

    async def close(self) -> None:
        if self._planned is not None:
            self._planned.cancel()
        waiting, self._waiting = self._waiting, []
        self._fail(waiting, kafka_errors.KafkaConnectionError("closed"))
        self._drop(self._wire)
        if self._closings:
            await asyncio.wait(self._closings)

    @property
    def _where(self) -> str:
        return ",".join(self._access.servers)

    def _plan(self) -> None:
        """The next batch, where somebody waits and none is planned yet."""
        if self._planned is None and self._waiting and self._under_way < BATCHES_MAX:
            self._accrue()
            wait_s = 0.0 if len(self._waiting) >= FULL else (1.0 - self._credit) * APART_S
            wait_s = max(GATHERING_S, wait_s)
            self._planned = asyncio.get_running_loop().call_later(wait_s, self._send)

    def _accrue(self) -> None:
        at = now()
        self._credit = min(CREDIT_MAX, self._credit + (at - self._accrued_at) / APART_S)
        self._accrued_at = at

    def _send(self) -> None:
        self._planned = None
        waiting = [each for each in self._waiting if not each[1].done()]  # some may have given up
        self._waiting = []
        if not waiting:
            return
        loop = asyncio.get_running_loop()
        batch = _Batch(waiting)
        try:
            self._settings = self._settings or self._access.settings(self._client_id)
            batch.wire = self._wire = self._wire or Wire(self._settings)
            batch.wire.read([question for question, _ in waiting], partial(self._tell, loop, batch))
        except Exception as error:  # of whatever sort: those who wait shall know
            self._drop(batch.wire)
            self._fail(waiting, error)
            return
        self._accrue()
        self._credit = max(0.0, self._credit - 1.0)
        self._under_way += 1
        batch.lost = loop.call_later(LOST_S, self._told, batch, kafka_errors.KafkaTimeoutError("no answer"))

    def _tell(self, loop: asyncio.AbstractEventLoop, batch: _Batch, told: Sequence[Answer] | Exception) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is no more, and nobody waits
            loop.call_soon_threadsafe(self._told, batch, told)

    def _told(self, batch: _Batch, told: Sequence[Answer] | Exception) -> None:
        if batch.settled:
            return
        batch.settled = True
        if batch.lost is not None:
            batch.lost.cancel()
        self._under_way -= 1
        if isinstance(told, Exception):
            self._drop(batch.wire)
            self._fail(batch.waiting, told)
        else:
            for (_, future), answer in zip(batch.waiting, told, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(self._translated(answer))
                else:
                    future.set_result(answer)
        self._plan()

    def _fail(self, waiting: Sequence[_Waiting], error: Exception) -> None:
        for _, future in waiting:
            if not future.done():
                future.set_exception(self._translated(error))

    def _drop(self, wire: Wire | None) -> None:
        """It will be made anew; it would remember a refused password, and addresses that nobody answers at any more."""
        if wire is None:
            return
        if wire is self._wire:
            self._wire = None
        closing = asyncio.get_running_loop().run_in_executor(None, wire.close)
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)

    def _translated(self, error: Exception) -> Exception:
        """Without secrets. A refusal may end without a change of ours: a password is set, a permission given."""
        if isinstance(error, PermanentError):
            return error
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError):
            said = f"Kafka at {self._where} refuses the user {self._access.user!r}: wrong name or password"
            if self._access.oauth is not None:
                said = f"Kafka at {self._where} was shown no token that it takes: {error}"
        elif isinstance(error, kafka_errors.NodeNotReadyError):
            said = f"no broker of Kafka at {self._where} can be reached at present"
        else:
            why = unreachable(error)
            said = f"Kafka at {self._where} cannot be reached: {why}" if why else f"{translate(error)} ({self._where})"
            if self._access.mechanism and not why and isinstance(error, kafka_errors.KafkaConnectionError):
                said += f"; a server that refuses the user {self._access.user!r} may look like this, too"
        return TemporaryError(self._access.masked(said))
