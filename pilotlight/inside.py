"""The gateway's listener for instances with a network of their own: at this machine's address on that network.

A container engine may come, go, and come back with another network, so the listener is made when there is an address to
listen at. The engine gives this machine that address with the first container only, which shall find somebody there.
Nothing outside this machine is on such a network.
"""

from __future__ import annotations

import structlog

from activator.service import Activator
from core.clock import Clock
from core.tasks import Started
from deploy.runtimes.base import OwnNetwork
from pilotlight.listeners import Addresses, PortProblem, bind

LOOK_S = 0.5

log = structlog.get_logger()


class Inside:
    """One network."""

    def __init__(self, network: OwnNetwork, activator: Activator, clock: Clock, addresses: Addresses) -> None:
        self._network = network
        self._activator = activator
        self._clock = clock
        self._ports = (addresses.inside_port, addresses.public_port)  # as `status.address.url` and `status.url` name
        self._listening: set[str] = set()

    async def run(self, started: Started) -> None:
        """Until cancelled; the activator closes its own listeners."""
        started()
        while True:
            address = self._network.gateway
            if address is not None and address not in self._listening:
                await self._listen(address)
            await self._clock.sleep(LOOK_S)

    async def _listen(self, address: str) -> None:
        self._listening.add(address)
        for port in dict.fromkeys(self._ports):
            try:
                listener = bind("inside", address, port, early=True)
            except PortProblem as problem:
                log.warning("functions in containers cannot reach others by name", why=str(problem))
            else:
                await self._activator.adopt(listener.socket)
