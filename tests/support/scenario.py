"""A whole platform in one process: the real house over a store in memory, a jumping clock, a runtime of coroutines.

Sockets are real, time is not. A `Scenario` outlives its platforms: `crash` ends one as `kill -9` would, in the middle
of whatever it was writing, and starts the next one over what was durable. The scenario keeps the books: which requests
ran when an instance was killed, how far each scale went, what every caller was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from core.errors import AlreadyExists, Expired, NotFound
from core.resources.core_v1 import CONFIG_MAP
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json, Kind, Lifetime, ObjectKey
from core.resources.pods import POD
from core.resources.serving import REVISION, SERVICE
from core.resources.serving_labels import SERVICE_LABEL
from core.resources.workloads import DEPLOYMENT
from core.settings.config_maps import CONFIG_MAPS, SYSTEM_NAMESPACE, settings_of
from core.store.base import DeleteOptions, EventType, WatchEvent
from core.store.feed import Watcher
from core.store.memory import MemoryStore
from core.store.writes import Plan
from core.tasks import Service, start_service
from pilotlight.bootstrap import bootstrap
from pilotlight.datadir import DataDir
from pilotlight.house import House, make_house
from pilotlight.listeners import Addresses
from tests.support.clock import FakeClock
from tests.support.data_path import Client
from tests.support.runtime import FakeProcess, FakeRuntime

NAMESPACE = "default"
IMAGE = "fake/app"
STEP_S = 0.5
"""How far the clock goes between two looks at the sockets."""
REAL_DEADLINE_S = 30.0
TAKEN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
"""What the function answers to an event."""


class LosableWatch(Watcher):
    """A watch that can fall behind."""

    def __init__(self, watcher: Watcher, lost: Callable[[], int]) -> None:
        self.__dict__.update(watcher.__dict__)
        self._lost = lost
        self._lost_before = lost()

    async def __anext__(self) -> WatchEvent:
        event = await super().__anext__()
        if self._lost() != self._lost_before:
            raise Expired("watcher fell behind")
        return event


class FaultyStore(MemoryStore):
    """Everything is durable that would be; a crash can be set to come after so many more writes."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(KINDS, clock)
        self.writes_left: int | None = None
        self.crashed = asyncio.Event()
        self._lost = 0

    async def _carry_out(self, kind: Kind[Any], key: ObjectKey, current: Json | None, plan: Plan) -> Json:
        if self.writes_left is not None:
            if self.writes_left <= 0:
                self.crashed.set()
                await asyncio.Event().wait()  # the process is dead: nobody gets an answer
            self.writes_left -= 1
        return await super()._carry_out(kind, key, current, plan)

    def watch(
        self, kind: Kind[Any], namespace: str | None = None, since: int | None = None, name: str = ""
    ) -> LosableWatch:
        return LosableWatch(super().watch(kind, namespace, since, name), lambda: self._lost)

    def lose_watches(self) -> None:
        """Every watch ends at the next change that it would tell of, which is lost."""
        self._lost += 1

    async def forget(self) -> None:
        """What was kept in memory only is gone."""
        self.writes_left = None
        self.crashed.clear()
        for kind in KINDS:
            for obj in (await self.list(kind)).items:
                metadata = obj["metadata"]
                owned = bool(metadata.get("ownerReferences"))
                if kind.lifetime is Lifetime.EPHEMERAL or (kind.lifetime is Lifetime.OWNED and owned):
                    options = DeleteOptions(grace_period_s=0)
                    await self.delete(kind, metadata["name"], metadata.get("namespace", ""), options)


@dataclass
class Books:
    """What must not be, and what was."""

    cut_off: list[str] = field(default_factory=list)  # instances stopped by the platform with a request in them
    beyond: list[str] = field(default_factory=list)  # scales out of their bounds
    answers: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)  # that functions have taken, by id
    logs: list[MutableMapping[str, Any]] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """What was logged as a defect."""
        return [str(each) for each in self.logs if each["log_level"] in ("error", "critical")]


class Scenario:
    """`start_delay_s`, `sick` and `runtime` are for faults; `books` for assertions."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.store = FaultyStore(self.clock)
        self.books = Books()
        self.runtime = FakeRuntime(self.clock)
        self.port = 0
        self.sick = False  # instances that start now end at once
        self.request_s = 0.2
        self.listening: Callable[[], object] = lambda: None  # called before any controller has begun
        self.concurrency: dict[str, int] = {}  # containerConcurrency by Service
        self._folder = folder
        self._house: House | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._served: set[str] = set()
        self._victims: set[FakeProcess] = set()  # of the scenario, not of the platform

    # --- the platform's life

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            self._group = group
            with capture_logs() as self.books.logs:
                await self._start()
                watching = group.create_task(self._watch_bounds(), name="bounds")
                try:
                    yield
                finally:
                    watching.cancel()
                    await self._kill()

    async def crash(self) -> None:
        """`kill -9`, and up again."""
        await self._kill()
        await self.store.forget()
        await self._start()

    async def _start(self) -> None:
        assert self._group is not None
        self.runtime = FakeRuntime(self.clock, dict.fromkeys((IMAGE, f"{IMAGE}@sha256:fake"), self._serve))
        runtimes = {"process": self.runtime}
        with patch("pilotlight.house.make_runtimes", lambda *_: runtimes):
            house = self._house = make_house(
                self.store, self.clock, DataDir(self._folder), Addresses(80, "127.0.0.1", 80), "token"
            )
        await bootstrap(self.store, 80)
        self._tasks = []
        for name, service in house.services:
            await self._begin(name, service)
        self.port = await house.activator.listen("127.0.0.1", 0)
        self.listening()
        await self._begin("controllers", house.controllers)

    async def _begin(self, name: str, service: Service) -> None:
        assert self._group is not None
        started = asyncio.ensure_future(start_service(self._group, self._mortal(service), name))
        await self._until(started.done)
        self._tasks.append(started.result())

    @staticmethod
    def _mortal(service: Any) -> Any:
        """Its end by a crash is no failure of the scenario."""

        async def run(started: Callable[[], None]) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await service(started)

        return run

    async def _kill(self) -> None:
        for container in self._containers():
            self._victims.add(container.process)
            container.crash(137, 9)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _containers(self) -> list[Any]:
        return [each for sandbox in self.runtime.sandboxes.values() for each in sandbox._all]

    def crash_one(self, chance: random.Random) -> None:
        """One instance, from inside."""
        running = [container for container in self._containers() if not container._ended.done()]
        if running:
            victim = chance.choice(running)
            self._victims.add(victim.process)
            victim.crash(9, 9)

    # --- the function

    async def _serve(self, process: FakeProcess) -> int:
        if self.sick:
            process.write(b"no luck\n", b"stderr")
            return 3
        in_flight = 0
        most = int(self.concurrency.get(process.env["K_SERVICE"], 0)) or 1_000

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal in_flight
            while head := await reader.readuntil(b"\r\n\r\n"):
                in_flight += 1
                if in_flight > most:
                    self.books.beyond.append(f"{in_flight} requests in one of {process.env['K_SERVICE']}")
                try:
                    await self.clock.sleep(self.request_s)
                    writer.write(self._answer(head))
                    await writer.drain()
                finally:
                    in_flight -= 1

        try:
            async with process.serving(handle):
                await process.terminated.wait()
                if in_flight:
                    self.books.cut_off.append(process.env["K_REVISION"])
        except asyncio.CancelledError:
            if in_flight and process not in self._victims:
                self.books.cut_off.append(f"{process.env['K_REVISION']} (killed)")
            raise
        return 0

    def _answer(self, head: bytes) -> bytes:
        if (found := re.search(rb"\r\nce-id: ([^\r]+)", head)) is None:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.books.events[found[1].decode()] += 1
        return TAKEN

    # --- its user

    async def deploy(self, name: str, annotations: Mapping[str, str], concurrency: int = 0) -> None:
        """As the API server would: defaults, rules, then the store. Changes it where it is there."""
        marks = {key if "/" in key else f"autoscaling.knative.dev/{key}": value for key, value in annotations.items()}
        spec: Json = {"runtimeClassName": "process", "containers": [{"image": IMAGE, "command": ["app"]}]}
        self.concurrency[name] = spec["containerConcurrency"] = concurrency
        obj: Json = {
            "apiVersion": SERVICE.api_version,
            "kind": SERVICE.kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"template": {"metadata": {"annotations": marks}, "spec": spec}},
        }
        maps = {each["metadata"]["name"]: each for each in (await self.store.list(CONFIG_MAP, SYSTEM_NAMESPACE)).items}
        settings = {key: settings_of(key, maps.get(key)) for key in CONFIG_MAPS}
        context = AdmissionContext(user="ann", old=None, settings=settings)
        SERVICE.default(obj, context)
        assert not SERVICE.validate(obj, context)

        def change(old: Json) -> Json:
            return {**old, "spec": obj["spec"]}

        try:
            await self.store.create(SERVICE, obj)
        except AlreadyExists:
            await self.store.modify(SERVICE, name, NAMESPACE, change)

    async def call(self, name: str) -> str:
        """The status of the answer, or why there was none; noted in the books."""
        outcome = "broken"
        try:
            client = await Client.connect(self.port)
            client.get(host=f"{name}.default.localhost")
            response = await client.read()
            outcome = str(response.status)
            client.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.books.answers[outcome] += 1
        if outcome == "404" and name in self._served:
            self.books.beyond.append(f"{name} has answered before, and is not found")
        if outcome == "200":
            self._served.add(name)
        return outcome

    async def advance(self, seconds: float) -> None:
        """Time goes on; where a crash was set, it may come on the way."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            await self.clock.advance(min(STEP_S, end - self.clock.monotonic()))
            if self.store.crashed.is_set():
                await self.crash()

    async def until(self, holds: Callable[[], Any], what: str, seconds: float = 120.0) -> None:
        """Lets time go on until that holds. AssertionError."""
        end = self.clock.monotonic() + seconds
        while not holds():
            assert self.clock.monotonic() < end, what
            await self.advance(STEP_S)

    async def _until(self, holds: Callable[[], bool]) -> None:
        """During a start, when nobody else moves the clock."""
        async with asyncio.timeout(REAL_DEADLINE_S):
            while not holds():
                await self.clock.advance(0.01)

    # --- what is

    async def pods(self, name: str) -> list[Json]:
        return list((await self.store.list(POD, NAMESPACE, {SERVICE_LABEL: name})).items)

    async def replicas(self, name: str) -> int:
        """Of all its Deployments."""
        found = (await self.store.list(DEPLOYMENT, NAMESPACE, {SERVICE_LABEL: name})).items
        return sum(each["spec"]["replicas"] for each in found)

    def alive(self) -> int:
        """Containers that run."""
        return sum(not container._ended.done() for container in self._containers())

    async def _watch_bounds(self) -> None:
        """Every scale that is ever written, against what its Revision allows."""
        since: int | None = None
        while True:
            with contextlib.suppress(Expired):
                async with self.store.watch(DEPLOYMENT, since=since) as changes:
                    async for event in changes:
                        if event.type is not EventType.DELETED:
                            await self._check_bounds(event.object)

    async def _check_bounds(self, deployment: Json) -> None:
        with contextlib.suppress(NotFound):
            name = deployment["metadata"]["name"].removesuffix("-deployment")
            revision = await self.store.get(REVISION, name, NAMESPACE)
            marks = revision["metadata"].get("annotations") or {}
            most = int(marks.get("autoscaling.knative.dev/max-scale", "1000"))
            replicas = deployment["spec"]["replicas"]
            if not 0 <= replicas <= most:
                self.books.beyond.append(f"{name}: {replicas} > {most}")
