"""A connection to RabbitMQ as its own thread sees it. pika's exceptions stop here.

`core/clients/rabbitmq.py` starts the thread, asks and is told; everything here but what says so is called on the
thread's own loop. Anything that RabbitMQ takes away behind our back, a channel, a queue, a confirmation that does not
come, ends the connection: there is one way to recover, and it begins anew.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_pika import open_error, parameters_of, pika_module, properties_of, sentence, translated
from core.clients.rabbitmq_probe import Probe
from core.clients.rabbitmq_terms import (
    NOT_FOUND,
    Content,
    Exchange,
    Queue,
    RabbitmqDown,
    RabbitmqRefused,
    Thing,
)

T = TypeVar("T")

CLOSE_S: Final = 5.0
ANSWER_S: Final = 15.0
"""To anything but a message: a quorum queue without a leader never answers who wants to consume."""
CONFIRM_S: Final = 30.0
"""How long a published message may go unconfirmed: a quorum that has no majority says nothing."""


class Home(Protocol):
    """Whom it tells, on the loop of the platform."""

    def opened(self, error: Exception | None) -> None: ...

    def confirmed(self, done: asyncio.Future[None], size: int, error: Exception | None) -> None: ...

    def block(self, reason: str) -> None: ...

    def over(self, reason: str) -> None: ...


class Mailbox:
    """Calls for the loop of another thread, which is woken once for many of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._woken = False

    def put(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._woken = False  # before the first is taken: what comes from now on wakes again
        for _ in range(len(self._calls)):
            self._calls.popleft()()


class Wire:
    """Made, and told to `run`, `ask` and `stop`, from elsewhere; `calls` takes what nobody waits for."""

    def __init__(self, access: Access, name: str, home: Home, post: Mailbox) -> None:
        self._access = access
        self._name = name
        self._home = home
        self._post = post
        self._loop = asyncio.new_event_loop()
        self.calls = Mailbox(self._loop)
        self._closed: asyncio.Future[str] = self._loop.create_future()
        self._connection: Any = None
        self._publisher: _Publisher | None = None
        self._reason = ""
        self.probe = Probe(self.open_raw_channel, translated)

    # -- from the platform's loop --------------------------------------------------------------------------------------

    def run(self) -> None:
        """The thread."""
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # what it has to say it raises, too
        reason = ""
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                reason = runner.run(self._live())
        except Exception as error:  # a defect, or what pika did not catch: the connection is over either way
            reason = sentence(error)
        self.tell(self._home.over, reason)

    def ask(self, question: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        guarded = self._guard(question)
        try:
            return asyncio.run_coroutine_threadsafe(guarded, self._loop)
        except RuntimeError:  # the thread has just ended
            guarded.close()
            question.close()
            raise RabbitmqDown(f"the connection to RabbitMQ was lost: {self._reason}", retry_after_s=1) from None

    def stop(self) -> None:
        self.calls.put(self._close)

    async def _guard(self, question: Coroutine[Any, Any, T]) -> T:
        exceptions = pika_module("exceptions")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await question
        except TimeoutError:
            raise RabbitmqDown(f"RabbitMQ has not answered for {ANSWER_S:g} s", retry_after_s=5) from None
        except asyncio.CancelledError:
            if not self._closed.done():
                raise  # whoever asked has lost interest
            raise RabbitmqDown(f"the connection to RabbitMQ was lost: {self._reason}", retry_after_s=1) from None
        except exceptions.AMQPError as error:
            raise translated(error) from error

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _live(self) -> str:
        """Until it is closed, by either side; says why."""
        adapter = pika_module("adapters.asyncio_connection").AsyncioConnection
        self._connection = adapter(
            parameters_of(self._access, self._name),
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=self._on_close,
            custom_ioloop=self._loop,
        )
        self._loop.call_later(CONFIRM_S / 4, self._watch)
        return await self._closed

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        asyncio.run_coroutine_threadsafe(self._prepare(), self._loop)

    async def _prepare(self) -> None:
        try:
            channel = await self.open_channel()
            publisher = _Publisher(channel.raw, self, self._home)
            await channel.ask(channel.raw.confirm_delivery, ack_nack_callback=publisher.on_confirm)
        except Exception as error:
            self.lose(sentence(error))
        else:
            self._publisher = publisher
            self.tell(self._home.opened, None)

    def _on_open_error(self, connection: Any, error: BaseException) -> None:
        said = open_error(error, self._access)
        self.tell(self._home.opened, said)
        self._settle(str(said))

    def _on_close(self, connection: Any, error: BaseException) -> None:
        self._settle(self._reason or sentence(error))

    def _on_blocked(self, connection: Any, frame: Any) -> None:
        if self._publisher is not None:
            self._publisher.blocked = True
        self.tell(self._home.block, str(frame.method.reason) or "it is short of memory or disk")

    def _on_unblocked(self, connection: Any, frame: Any) -> None:
        if self._publisher is not None:
            self._publisher.blocked = False
        self.tell(self._home.block, "")

    def _close(self) -> None:
        self._reason = self._reason or "it was closed"
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
            self._loop.call_later(CLOSE_S, self._settle, self._reason)
        else:
            self._settle(self._reason)

    def lose(self, reason: str) -> None:
        """The session ends here: nothing about it is trusted any more."""
        self._reason = self._reason or reason
        self._close()

    def _settle(self, reason: str) -> None:
        self._reason = self._reason or reason
        if not self._closed.done():
            self._closed.set_result(self._reason)

    def _watch(self) -> None:
        publisher = self._publisher
        since = None if publisher is None or publisher.blocked else publisher.waiting_since
        if since is not None and self._loop.time() - since > CONFIRM_S:
            self.lose(f"it has not confirmed a message for {CONFIRM_S:g} s")
        if not self._closed.done():
            self._loop.call_later(CONFIRM_S / 4, self._watch)

    def publish(self, exchange: str, key: str, content: Content, done: asyncio.Future[None]) -> None:
        assert self._publisher is not None  # nobody has the session before it is open
        self._publisher.publish(exchange, key, content, done)

    def tell(self, call: Callable[..., None], *arguments: Any) -> None:
        self._post.put(partial(call, *arguments))

    def open_raw_channel(self, opened: Callable[[Any], None]) -> Any:
        """RabbitmqDown."""
        try:
            return self._connection.channel(on_open_callback=opened)
        except Exception as error:  # on its way down
            raise translated(error) from error

    async def open_channel(self) -> _Channel:
        opened = self._loop.create_future()
        raw = self._connection.channel(on_open_callback=partial(_give_channel, opened))
        channel = _Channel(raw, self._loop)
        await opened
        return channel


async def declare(wire: Wire, things: Sequence[Thing]) -> None:
    missing = [thing for thing in things if not (isinstance(thing, Queue) and await _is_there(wire, thing.name))]
    if not missing:
        return
    channel = await wire.open_channel()
    for thing in missing:
        await _make(channel, thing)
    channel.raw.close()


async def delete(wire: Wire, things: Sequence[Exchange | Queue]) -> None:
    channel = await wire.open_channel()
    for thing in things:
        if isinstance(thing, Queue):
            await channel.ask(channel.raw.queue_delete, queue=thing.name)
        else:
            await channel.ask(channel.raw.exchange_delete, exchange=thing.name)
    channel.raw.close()


async def depth(wire: Wire, queue: str) -> int:
    """Messages that nobody has yet."""
    counted: asyncio.Future[int | Exception] = asyncio.get_running_loop().create_future()
    wire.probe.ask(queue, partial(give, counted))
    found = await counted
    if isinstance(found, Exception):
        raise found
    return found


async def _is_there(wire: Wire, queue: str) -> bool:
    try:
        await depth(wire, queue)
    except RabbitmqRefused as error:
        if error.code == NOT_FOUND:
            return False
        raise
    return True


class _Publisher:
    """The channel that messages are published on, confirmed one by one."""

    def __init__(self, channel: Any, wire: Wire, home: Home) -> None:
        self.blocked = False
        self._channel = channel
        self._wire = wire
        self._home = home
        self._sequence = 0
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        self._returned: set[str | None] = set()
        channel.add_on_return_callback(self._on_return)
        channel.add_on_close_callback(lambda _, error: wire.lose(sentence(error)))

    @property
    def waiting_since(self) -> float | None:
        oldest = next(iter(self._unconfirmed.values()), None)
        return None if oldest is None else oldest.since

    def publish(self, exchange: str, key: str, content: Content, done: asyncio.Future[None]) -> None:
        size = len(content.body)
        try:
            properties = properties_of(content)
            self._channel.basic_publish(exchange, key, content.body, properties, mandatory=True)
        except Exception as error:  # on its way down, or a header that AMQP has no type for
            self._wire.tell(self._home.confirmed, done, size, translated(error))
            return
        self._sequence += 1
        now = asyncio.get_running_loop().time()
        self._unconfirmed[self._sequence] = _Unconfirmed(done, size, content.message_id, now)

    def on_confirm(self, frame: Any) -> None:
        method = frame.method
        refused = type(method).__name__ != "Ack"
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
        for tag in tags:
            if (message := self._unconfirmed.pop(tag, None)) is None:
                continue
            error: Exception | None = None
            if refused:
                error = RabbitmqRefused("RabbitMQ could not store the message")
            elif message.message_id in self._returned:
                self._returned.discard(message.message_id)
                error = RabbitmqRefused("no queue of RabbitMQ took the message", NOT_FOUND)
            self._wire.tell(self._home.confirmed, message.done, message.size, error)

    def _on_return(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._returned.add(properties.message_id)  # its confirmation follows


@dataclass(slots=True)
class _Unconfirmed:
    done: asyncio.Future[None]
    size: int
    message_id: str | None
    since: float


class _Channel:
    """A channel whose methods can be awaited, one at a time. A refusal closes it."""

    def __init__(self, raw: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.raw = raw
        self._loop = loop
        self._waiting: asyncio.Future[Any] | None = None
        raw.add_on_close_callback(self._on_close)

    async def ask(self, method: Callable[..., Any], **arguments: Any) -> Any:
        waiting = self._waiting = self._loop.create_future()
        method(**arguments, callback=partial(give, waiting))
        return await waiting

    def _on_close(self, channel: Any, error: BaseException) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(translated(error))


async def _make(channel: _Channel, thing: Thing) -> None:
    raw = channel.raw
    if isinstance(thing, Exchange):
        await channel.ask(raw.exchange_declare, exchange=thing.name, exchange_type=thing.type, durable=True)
    elif isinstance(thing, Queue):
        arguments: dict[str, object] = {"x-queue-type": thing.type}
        if thing.type == "quorum":
            # From 4.0 on, RabbitMQ drops a message that was delivered 20 times: a platform that restarts that often.
            arguments["x-delivery-limit"] = (1 << 31) - 1
        await channel.ask(raw.queue_declare, queue=thing.name, durable=True, arguments=arguments)
    else:
        await channel.ask(
            raw.queue_bind,
            queue=thing.queue,
            exchange=thing.exchange,
            routing_key=thing.key,
            arguments=dict(thing.arguments),
        )


def give(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _give_channel(opened: asyncio.Future[Any], channel: Any) -> None:
    """Or close it, where nobody waits for it any more."""
    if opened.done():
        channel.close()
    else:
        opened.set_result(channel)
