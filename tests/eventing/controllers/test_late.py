"""Code that is loaded with the first object of its kind (eventing/controllers/late.py)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.reconcile.controller import Controller, Watched, itself
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json, Kind, ObjectKey
from core.tasks import Service, Started, start_service
from eventing.controllers.late import LatePart, Plugin
from eventing.controllers.world import World
from tests.support.eventing import Eventing, eventing, until

happened: list[str] = []


class Played:
    """A source that notes what is asked of it."""

    kind: Kind[Any] = CONFIG_MAP

    def __init__(self, world: World) -> None:
        self._world = world
        happened.append("loaded")

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return [("played", self.run)]

    async def run(self, started: Started) -> None:
        happened.append("serves")
        started()
        await asyncio.get_running_loop().create_future()

    async def reconcile(self, key: ObjectKey) -> float | None:
        happened.append(key.name)
        return None

    def controller(self) -> Controller:
        watches = [Watched(CONFIG_MAP, itself)]
        return Controller("played", self._world.store, self.reconcile, watches, self._world.clock)


@pytest.fixture(autouse=True)
def nothing_happened() -> None:
    happened.clear()


def played(name: str) -> Json:
    """Of a kind that none of eventing's own controllers writes to."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


async def happens(what: list[str]) -> None:
    async def check() -> bool | None:
        return True if happened == what else None

    await until(check, f"not {what}: {happened}")


async def run(group: asyncio.TaskGroup, under: Eventing) -> LatePart:
    """The order in which the platform starts it: `serve`, ready, `control`."""
    part = LatePart(under.world, Plugin(CONFIG_MAP, __name__, "Played"))
    await start_service(group, part.serve, "serve")
    happened.append("ready")
    await start_service(group, part.control, "control")
    return part


async def end(group: asyncio.TaskGroup) -> None:
    for task in list(group._tasks):
        task.cancel()


def test_the_first_object_loads_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, asyncio.TaskGroup() as group:
            part = await run(group, under)
            assert part.name == "configmap"
            assert happened == ["ready"]
            await under.store.create(CONFIG_MAP, played("one"))
            await happens(["ready", "loaded", "one", "serves", "one"])
            await under.store.create(CONFIG_MAP, played("two"))
            await happens(["ready", "loaded", "one", "serves", "one", "two"])
            await end(group)

    asyncio.run(main())


def test_objects_that_are_there_have_their_doors_open_before_the_platform_is_ready(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, asyncio.TaskGroup() as group:
            await under.store.create(CONFIG_MAP, played("one"))
            await run(group, under)
            await happens(["loaded", "one", "serves", "ready", "one"])
            await end(group)

    asyncio.run(main())


def test_a_store_that_closes_before_there_is_an_object_ends_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under, asyncio.TaskGroup() as group:
            part = LatePart(under.world, Plugin(CONFIG_MAP, __name__, "Played"))
            serving = await start_service(group, part.serve, "serve")
            await under.store.close()
            async with asyncio.timeout(10):
                await serving
            assert happened == []

    asyncio.run(main())


A_START = """
import os, signal, sys
from pathlib import Path
from pilotlight.datadir import DataDir
from pilotlight.options import PlatformOptions
from pilotlight.serve import run_platform

def tell(running):
    print("loaded:", *(name for name in CLIENTS if name in sys.modules))
    os.kill(os.getpid(), signal.SIGTERM)

CLIENTS = ("kafka", "pika", "aiohttp", "aiodocker", "kubernetes", "grpc", "redis", "psycopg", "importlib.metadata")
run_platform(PlatformOptions(DataDir(Path(sys.argv[1])), gateway_port=0, api_port=0), tell)
"""


def test_a_platform_is_ready_without_the_clients_of_anything_outside(tmp_path: Path) -> None:
    """Each would make every start longer, also of those that never use it."""
    command = [sys.executable, "-c", A_START, str(tmp_path / "data")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line for line in said.splitlines() if line.startswith("loaded:")] == ["loaded:"]
