"""Several gateway processes on one port, with one mind: the parent's side.

Each worker (`activator/worker.py`) is a whole gateway, told of routes, revisions and instances over a socket pair. A
worker deals with a warm request of an unlimited revision alone. Every other one, for a sleeping revision or one with a
containerConcurrency, it hands to the parent as a ticket: the parent's throttler gives it a slot or a place in the line,
exactly as if it were its own, so order, bounds, pokes and limits hold over all workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from activator import messages as m
from activator.instances import Instance
from activator.limits import GatewayLimits
from activator.problem import Problem, revision_missing
from activator.routing import Compiled, RouteChanges, ServiceKey, Table, lead_to
from activator.throttler import Backend, Throttler
from core.clock import Clock
from core.stats import InstanceKey, RequestStatistic, RevisionKey
from core.tasks import Started

log = structlog.get_logger()

RESTART_S: Final = 0.5
SITES: Final = ServiceKey("knative-eventing", "pilotlight-sites")
"""To a worker, the platform's own sites are one more service, at a port of the parent's."""
_ROOT: Final = str(Path(__file__).parent.parent)


class Ticket:
    """`throttler.Waiter` for a request that another process holds."""

    __slots__ = ("_worker", "backend", "held_bytes", "instance", "number")

    def __init__(self, worker: WorkerLink, wanted: m.Wanted, backend: Backend) -> None:
        self.number = wanted.ticket
        self.held_bytes = wanted.held_bytes
        self.backend = backend
        self.instance: Instance | None = None
        self._worker = worker

    def dispatch(self, instance: Instance) -> None:
        self.instance = instance
        self._worker.send(m.Granted(self.number, instance.endpoint))

    def refuse(self, problem: Problem) -> None:
        self._worker.refuse(self, problem)


class WorkerLink:
    """One worker: what it asked for, what it reported."""

    def __init__(self, throttler: Throttler, clock: Clock, files: socket.socket) -> None:
        self.loads: dict[InstanceKey, tuple[int, float]] = {}
        self.numbers: dict[str, float] = {}
        self.statistics: dict[RevisionKey, RequestStatistic] = {}
        self.drains: dict[InstanceKey, list[asyncio.Event]] = {}
        self.lost = asyncio.Event()
        self._throttler = throttler
        self._clock = clock
        self._files = files
        self._adopted: list[asyncio.Event] = []
        self._tickets: dict[int, Ticket] = {}
        self._link = m.Link(self._receive, self._end)

    async def open(self, end: socket.socket) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self._link, sock=end)

    def send(self, message: object) -> None:
        self._link.send(message)

    async def adopt(self, listener: socket.socket, public: bool) -> None:
        """Returns once the worker accepts from it, or is gone."""
        event = asyncio.Event()
        self._adopted.append(event)
        with contextlib.suppress(OSError):  # it died: another one will be told
            socket.send_fds(self._files, [b"."], [listener.fileno()])
            self.send(m.Adopt(public))
            await event.wait()

    def close(self) -> None:
        self._link.close()
        self._files.close()

    def refuse(self, ticket: Ticket, problem: Problem) -> None:
        del self._tickets[ticket.number]
        ticket.backend.depart(ticket, None, self._clock.monotonic())
        self.send(m.Refused(ticket.number, problem))

    async def drained(self, instance: InstanceKey) -> None:
        """Returns once nothing of it is under way there."""
        if self.lost.is_set():
            return
        event = asyncio.Event()
        self.drains.setdefault(instance, []).append(event)
        self.send(m.Drain(instance))
        await event.wait()

    def _receive(self, message: object) -> None:
        now = self._clock.monotonic()
        match message:
            case m.Wanted():
                self._want(message, now)
            case m.WantedAgain(number, reachable):
                ticket = self._tickets.get(number)
                if ticket is not None and (instance := ticket.instance) is not None:
                    ticket.instance = None
                    ticket.backend.again(ticket, instance, now, reachable=reachable)
            case m.Done(number):
                if (ticket := self._tickets.pop(number, None)) is not None:
                    ticket.backend.depart(ticket, ticket.instance, now)
            case m.Busy(loads):
                self.loads = dict(loads)
            case m.Report(statistics, numbers):
                self.statistics |= {statistic.revision: statistic for statistic in statistics}
                self.numbers = dict(numbers)
            case m.Drained(instance):
                for event in self.drains.pop(instance, ()):
                    event.set()
            case m.Adopted():
                self._adopted.pop(0).set()

    def _want(self, wanted: m.Wanted, now: float) -> None:
        backend = self._throttler.backends.get(wanted.backend)
        if backend is None:
            self.send(m.Refused(wanted.ticket, revision_missing(str(wanted.backend))))
            return
        ticket = self._tickets[wanted.ticket] = Ticket(self, wanted, backend)
        backend.arrive(ticket, now)

    def _end(self) -> None:
        """Its clients are gone with it."""
        tickets, self._tickets = self._tickets, {}
        self.loads, self.statistics = {}, {}
        for ticket in tickets.values():
            ticket.backend.depart(ticket, ticket.instance, self._clock.monotonic())
        for event in (*self._adopted, *(event for events in self.drains.values() for event in events)):
            event.set()
        self.lost.set()


class Workers:
    """All of them. A worker that dies is replaced; the others go on."""

    def __init__(self, count: int, limits: GatewayLimits, throttler: Throttler, clock: Clock) -> None:
        self._count = count
        self._limits = limits
        self._throttler = throttler
        self._clock = clock
        self._links: list[WorkerLink] = []
        self._listeners: list[tuple[socket.socket, bool]] = []
        self.table = Table()  # the gateway's of this process
        self._sites: Compiled = {}
        self._stopping = False
        self._spawning = asyncio.Lock()
        throttler.changed = self._changed
        throttler.forgotten = lambda key: self._send(m.Forget(key))
        throttler.elsewhere = self._with_others

    async def run(self, started: Started) -> None:
        """Started once every worker has been fed."""
        async with asyncio.TaskGroup() as group:
            fed = [asyncio.Event() for _ in range(self._count)]
            for index, event in enumerate(fed):
                group.create_task(self._keep(index, event), name=f"gateway:{index}")
            for event in fed:
                await event.wait()
            started()

    async def adopt(self, listener: socket.socket, *, public: bool) -> int:
        """The port, once every worker accepts from this socket. One backlog for all: none is lost with a worker."""
        port: int = listener.getsockname()[1]
        self._listeners.append((listener, public))
        for link in list(self._links):
            await link.adopt(listener, public)
        return port

    async def drain(self) -> None:
        """Every worker finishes what it has, and ends."""
        self._stopping = True
        for listener, _ in self._listeners:
            listener.close()
        self._send(m.Stop())
        for link in list(self._links):
            await link.lost.wait()

    async def drained(self, instance: InstanceKey) -> None:
        await asyncio.gather(*(link.drained(instance) for link in list(self._links)))

    def in_flight(self, instance: InstanceKey) -> int:
        return sum(link.loads.get(instance, (0, 0.0))[0] for link in self._links)

    def last_active(self, instance: InstanceKey) -> float:
        return max((link.loads.get(instance, (0, 0.0))[1] for link in self._links), default=0.0)

    def numbers(self) -> dict[str, float]:
        names = {name for link in self._links for name in link.numbers}
        return {name: sum(link.numbers.get(name, 0.0) for link in self._links) for name in names}

    def change_routes(self, changes: RouteChanges) -> None:
        self._send(m.Routes(changes))

    def set_sites(self, sites: Compiled) -> None:
        """Their answers are made in this process."""
        self._sites = lead_to(SITES, sites)
        self._send(m.Sites(self._sites))

    def _send(self, message: object) -> None:
        for link in self._links:
            link.send(message)

    def _changed(self, backend: Backend) -> None:
        self._send(_instances(backend))

    def _with_others(self, own: RequestStatistic) -> RequestStatistic:
        """What this process counted and what the workers dealt with by themselves."""
        for link in self._links:
            if (other := link.statistics.pop(own.revision, None)) is not None:
                own = replace(
                    own,
                    average_concurrency=own.average_concurrency + other.average_concurrency,
                    request_count=own.request_count + other.request_count,
                    in_flight=own.in_flight + other.in_flight,
                )
        return own

    async def _keep(self, index: int, fed: asyncio.Event) -> None:
        while not self._stopping:
            code = await self._run_one(index, fed)
            if not self._stopping:
                log.warning("gateway worker ended", worker=index, exit_code=code)
                await self._clock.sleep(RESTART_S)

    async def _run_one(self, index: int, fed: asyncio.Event) -> int:
        process, end, files = await self._spawn()
        link = WorkerLink(self._throttler, self._clock, files)
        try:
            await link.open(end)
            link.send(m.Setup(self._limits, index / self._count))
            for backend in self._throttler.backends.values():
                link.send(_instances(backend))
            link.send(m.Routes(self.table.hosts))
            link.send(m.Sites(self._sites))
            self._links.append(link)
            for listener, public in list(self._listeners):
                await link.adopt(listener, public)
            fed.set()
            return await process.wait()
        finally:
            link.close()
            if link in self._links:
                self._links.remove(link)
            if process.returncode is None:
                process.kill()  # it has nothing to put in order
                await process.wait()

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, socket.socket, socket.socket]:
        """The process, and our ends of its two socket pairs: for messages, and for file descriptors.

        One at a time: a second child would inherit the first one's ends, and its death would go unnoticed.
        """
        async with self._spawning:
            (ours, theirs), (files, their_files) = socket.socketpair(), socket.socketpair()
            ours.setblocking(False)
            with theirs, their_files:
                passed = (theirs.fileno(), their_files.fileno())
                # -P: the folder that the platform was started in may hold a package called `activator`.
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "activator.worker", *map(str, passed),
                    pass_fds=passed, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
                    env={**os.environ, "PYTHONPATH": _ROOT},
                )  # fmt: skip
            return process, ours, files


def _instances(backend: Backend) -> m.Instances:
    endpoints = tuple(instance.endpoint for instance in backend.instances.values())
    return m.Instances(backend.key, backend.limits, endpoints)
