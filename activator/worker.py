"""One of several gateway processes: `python -m activator.worker FD FD`, started by `activator/workers.py` alone.

A whole gateway whose throttler has a parent: warm requests of unlimited revisions are dealt with here, all others are
tickets that the parent answers. What it knows of routes and instances is what the parent says; it reads no store.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Callable

import structlog
import uvloop

from activator import messages as m
from activator.dialer import TaskDialer
from activator.exchange import Shared
from activator.forwarding import Traces
from activator.gateway import Gateway
from activator.instances import Endpoint, Instance
from activator.limits import GatewayLimits, RevisionLimits
from activator.loads import Loads
from activator.problem import revision_missing
from activator.routing import BackendKey, EvenDraw
from activator.throttler import Backend, Throttler, Waiter
from activator.upkeep import later, run_deadlines
from core.clock import Clock, SystemClock
from core.stats import InstanceKey, RequestStatistic

BUSY_S = 0.05
"""How old the parent's idea of this worker's loads may be. Drains do not rely on it."""


class Tickets:
    """Requests that the parent decides on."""

    def __init__(self, send: Callable[[object], None]) -> None:
        self.send = send
        self._numbers = itertools.count(1)
        self._by_number: dict[int, tuple[Waiter, Backend]] = {}
        self._by_waiter: dict[Waiter, int] = {}

    def want(self, waiter: Waiter, backend: Backend) -> None:
        number = next(self._numbers)
        self._by_number[number] = (waiter, backend)
        self._by_waiter[waiter] = number
        self.send(m.Wanted(number, backend.key, waiter.held_bytes))

    def number(self, waiter: Waiter) -> int | None:
        return self._by_waiter.get(waiter)

    def take(self, waiter: Waiter) -> int | None:
        """Forgets it."""
        number = self._by_waiter.pop(waiter, None)
        if number is not None:
            del self._by_number[number]
        return number

    def find(self, number: int) -> tuple[Waiter, Backend] | None:
        """None where its client has left meanwhile."""
        return self._by_number.get(number)


class LeasedBackend(Backend):
    """Asks the parent wherever its own view is not enough."""

    __slots__ = ("_tickets",)

    def __init__(self, key: BackendKey, limits: RevisionLimits, throttler: Throttler, tickets: Tickets) -> None:
        super().__init__(key, limits, throttler)
        self._tickets = tickets

    def arrive(self, waiter: Waiter, now: float) -> None:
        if self.limits.concurrency or not len(self.balancer):
            self._tickets.want(waiter, self)
        else:
            super().arrive(waiter, now)

    def depart(self, waiter: Waiter, instance: Instance | None, now: float) -> None:
        number = self._tickets.take(waiter)
        if number is None:
            super().depart(waiter, instance, now)
        else:
            self._tickets.send(m.Done(number))

    def again(self, waiter: Waiter, instance: Instance, now: float, *, reachable: bool) -> None:
        number = self._tickets.number(waiter)
        if number is not None:
            self._tickets.send(m.WantedAgain(number, reachable))
            return
        super().again(waiter, instance, now, reachable=reachable)

    def _ask(self, now: float) -> None:
        """Nobody is left to give them to: the parent may know more, and counts them from here on."""
        for waiter in self.queue.clear() if not len(self.balancer) else ():
            self.wake(now).leave(now)
            self._tickets.want(waiter, self)

    def instance_at(self, endpoint: Endpoint, now: float) -> Instance:
        """The record of an instance that the parent has chosen."""
        return self.instances.get(endpoint.key) or self.leaving.get(endpoint.key) or Instance(endpoint, now)


class LeasedThrottler(Throttler):
    """Makes those."""

    def __init__(self, limits: GatewayLimits, publish: Callable[[RequestStatistic], None], tickets: Tickets) -> None:
        super().__init__(limits, publish, later)
        self._tickets = tickets

    def make(self, key: BackendKey, limits: RevisionLimits) -> Backend:
        return LeasedBackend(key, limits, self, self._tickets)


class Worker:
    """The process."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        setup: m.Setup,
        send: Callable[[object], None],
        files: socket.socket,
        clock: Clock,
    ) -> None:
        self._group = group
        self._files = files
        self._send = send
        self._clock = clock
        self._statistics: list[RequestStatistic] = []
        self._tickets = Tickets(send)
        self._throttler = LeasedThrottler(setup.limits, self._statistics.append, self._tickets)
        self._loads = Loads(self._throttler, clock)
        dialer = TaskDialer(group, setup.limits.dial_timeout_s)
        shared = Shared(clock, Traces(int.from_bytes(os.urandom(8))), dialer)
        self._gateway = Gateway(shared, self._throttler, setup.limits, EvenDraw(setup.share))
        group.create_task(run_deadlines(self._gateway, self._throttler), name="deadlines")
        group.create_task(self._run_reports(), name="reports")
        group.create_task(self._run_busy(), name="busy")

    def receive(self, message: object) -> None:
        now = self._clock.monotonic()
        match message:
            case m.Granted(number, endpoint):
                if (found := self._tickets.find(number)) is not None:
                    waiter, backend = found
                    assert isinstance(backend, LeasedBackend)
                    waiter.dispatch(backend.instance_at(endpoint, now))
            case m.Refused(number, problem):
                if (found := self._tickets.find(number)) is not None:
                    self._tickets.take(found[0])
                    found[0].refuse(problem)
            case m.Instances(key, limits, endpoints):
                self._throttler.ensure(key, limits).set_endpoints(endpoints, now)
            case m.Forget(key):
                self._throttler.forget(key, revision_missing(str(key)))
            case m.Routes(changes):
                self._gateway.change_routes(changes)
            case m.Sites(hosts):
                self._gateway.set_sites(hosts)
            case m.Adopt(public):
                self._group.create_task(self._adopt(public), name="adopt")
            case m.Drain(instance):
                self._group.create_task(self._drain(instance), name=f"drain:{instance.name}")
            case m.Stop():
                self._group.create_task(self._stop(), name="stop")

    async def _adopt(self, public: bool) -> None:
        _, (descriptor,), _, _ = socket.recv_fds(self._files, 1, 1)  # sent before the message: it is there
        await self._gateway.adopt(socket.socket(fileno=descriptor), public=public)
        self._send(m.Adopted())

    async def _drain(self, instance: InstanceKey) -> None:
        await self._loads.drain(instance, 24 * 3600)  # the parent keeps the grace
        self._send(m.Drained(instance))

    async def _stop(self) -> None:
        await self._gateway.drain()
        raise SystemExit(0)

    async def _run_reports(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            self._throttler.report(self._clock.monotonic())
            statistics, self._statistics[:] = tuple(self._statistics), []
            self._send(m.Report(statistics, self._gateway.numbers()))

    async def _run_busy(self) -> None:
        told: dict[InstanceKey, tuple[int, float]] = {}
        while True:
            await self._clock.sleep(BUSY_S)
            loads = {
                instance.endpoint.key: (instance.in_flight, instance.last_active)
                for backend in self._throttler.active.values()
                for instance in (*backend.instances.values(), *backend.leaving.values())
            }
            if loads != told:
                told = loads
                self._send(m.Busy(loads))


async def main(descriptor: int, files: int) -> None:
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[object] = asyncio.Queue()
    lost = asyncio.Event()
    end = socket.socket(fileno=descriptor)
    receive: list[Callable[[object], None]] = [inbox.put_nowait]
    _, link = await loop.create_connection(lambda: m.Link(lambda message: receive[0](message), lost.set), sock=end)
    setup = await inbox.get()
    assert isinstance(setup, m.Setup)
    async with asyncio.TaskGroup() as group:
        worker = Worker(group, setup, link.send, socket.socket(fileno=files), SystemClock())
        receive[0] = worker.receive
        while not inbox.empty():
            worker.receive(inbox.get_nowait())
        await lost.wait()  # without the parent there is nobody to ask
        raise SystemExit(1)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is the platform's
    uvloop.run(main(*map(int, sys.argv[1:])))
