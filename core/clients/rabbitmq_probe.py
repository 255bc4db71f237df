"""How many messages wait in queues, asked on the thread of a connection: several at a time, on channels that are kept.

A queue that is not there closes the channel that it was asked on, and one that does not answer keeps it: others go on
on the rest. Called by `rabbitmq_wire`, on its thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from core.clients.rabbitmq_terms import RabbitmqDown

CHANNELS_MAX: Final = 32
ANSWER_S: Final = 5.0
"""To one question; afterwards its channel is given up."""

Give: TypeAlias = Callable[[int | Exception], None]


Open: TypeAlias = Callable[[Callable[[Any], None]], Any]
"""A channel of pika's, which calls back when it is open. RabbitmqDown."""


@dataclass(slots=True)
class _Question:
    queue: str
    give: Give
    alarm: asyncio.TimerHandle | None = None


class Probe:
    """Made anywhere; everything else happens on the connection's loop."""

    def __init__(self, open_channel: Open, translated: Callable[[BaseException], Exception]) -> None:
        self._open_channel = open_channel
        self._translated = translated
        self._waiting: deque[_Question] = deque()
        self._free: list[Any] = []
        self._asked: dict[Any, _Question] = {}
        self._given_up: set[Any] = set()
        self._count = 0  # channels that are open, or about to be, and not given up

    def ask(self, queue: str, give: Give) -> None:
        """`give` gets the number, or what went wrong; nothing where the connection ends before."""
        self._waiting.append(_Question(queue, give))
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._free:
            channel = self._free.pop()
            if channel.is_open:
                self._send(channel, self._waiting.popleft())
        opening = self._count - len(self._asked)
        while len(self._waiting) > opening and self._count < CHANNELS_MAX:
            try:
                channel = self._open_channel(self._on_open)
            except RabbitmqDown as error:
                while self._waiting:
                    self._waiting.popleft().give(error)
                return
            self._count += 1
            opening += 1
            channel.add_on_close_callback(self._on_close)

    def _send(self, channel: Any, question: _Question) -> None:
        self._asked[channel] = question
        question.alarm = asyncio.get_running_loop().call_later(ANSWER_S, self._give_up, channel, question)
        channel.queue_declare(
            queue=question.queue, passive=True, callback=lambda frame: self._on_answer(channel, question, frame)
        )

    def _on_open(self, channel: Any) -> None:
        self._free.append(channel)
        self._go_on()

    def _on_answer(self, channel: Any, question: _Question, frame: Any) -> None:
        if self._asked.get(channel) is question:
            self._settle(channel, int(frame.method.message_count))
            self._free.append(channel)
            self._go_on()

    def _on_close(self, channel: Any, error: BaseException) -> None:
        if channel in self._given_up:
            self._given_up.remove(channel)
            return
        if channel in self._free:
            self._free.remove(channel)
        elif channel in self._asked:
            self._settle(channel, self._translated(error))
        self._count -= 1
        self._go_on()

    def _give_up(self, channel: Any, question: _Question) -> None:
        """The channel is closed when the answer has come after all, for that is to nobody's question."""
        if self._asked.get(channel) is question:
            error = RabbitmqDown(f"RabbitMQ has said nothing of queue {question.queue} for {ANSWER_S:g} s")
            self._settle(channel, error)
            self._given_up.add(channel)
            self._count -= 1
            channel.close()
            self._go_on()

    def _settle(self, channel: Any, found: int | Exception) -> None:
        question = self._asked.pop(channel)
        if question.alarm is not None:
            question.alarm.cancel()
        question.give(found)
