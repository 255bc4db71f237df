"""The gateway follows a network that comes up later; a port that cannot be had costs names, not the platform."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

from activator.service import Activator
from core.clock import SystemClock
from core.resources.kinds import KINDS
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from core.tasks import start_service
from pilotlight.inside import Inside
from pilotlight.listeners import Addresses, bind
from tests.support.clock import FakeClock, settle

HERE = f"127.81.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
"""A loopback address of this process: a port that was free there a moment ago is still free, whatever others do."""


class Network:
    """`deploy.runtimes.base.OwnNetwork`, up when told."""

    gateway: str | None = None

    def set_names(self, names: object) -> None:
        raise AssertionError("names are told elsewhere")


LATER = "192.0.2.1"
"""Not an address of this machine."""


def listens(host: str, port: int) -> bool:
    """By the kernel's table: nobody can connect there yet."""
    place = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == place and row[3] == "0A" for row in rows)


def free_port() -> int:
    listener = bind("gateway", HERE, 0)
    with listener.socket:
        return listener.port


def answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex((HERE, port)) == 0


def test_it_listens_once_there_is_an_address() -> None:
    async def scenario() -> None:
        clock, port, public = FakeClock(), free_port(), free_port()
        activator = Activator(MemoryStore(KINDS, clock), SystemClock(), StatisticBus())
        network = Network()
        async with asyncio.TaskGroup() as group:
            services = [await start_service(group, activator.run, "activator")]
            inside = Inside(network, activator, clock, Addresses(public, HERE, port))
            services.append(await start_service(group, inside.run, "inside"))
            await settle()
            assert not answers(port)
            network.gateway = HERE
            await clock.advance(1.0)
            assert answers(port)
            assert answers(public), "status.url names it"
            network.gateway = LATER
            await clock.advance(1.0)
            assert answers(port)
            assert listens(LATER, port), "an engine's bridge comes up with its first container"
            for service in services:
                service.cancel()

    asyncio.run(scenario())
