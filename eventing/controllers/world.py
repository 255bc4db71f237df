"""What every controller of eventing is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from core.inside import Sites
from core.reconcile.events import Recorder
from core.reconcile.objects import Objects
from core.resources.hosts import Hosts
from core.resources.meta import Json
from eventing.brokers.base import Broker
from eventing.dataplane import DataPlane
from eventing.entrance import Entrance
from eventing.ingress import Ingress, by_host, by_path
from eventing.log.log import EventLog

BrokerClass: TypeAlias = Callable[[str, Json], Awaitable[Broker]]
"""A stream's name and the Broker object → what keeps its events. PermanentError: its configuration is wrong, and how.
TemporaryError: what it names is not there yet."""

BROKER_HOST: Final = "broker-ingress.knative-eventing.svc.cluster.local"


class Doors:
    """Where events come in: brokers by path at one host, channels by a host of their own each."""

    def __init__(self, sites: Sites) -> None:
        self.brokers: dict[bytes, Entrance] = {}
        self.channels: dict[bytes, Entrance] = {}
        self._sites = sites
        self._channel_site = Ingress(by_host(self.channels), "channel")
        self._broker_site = Ingress(by_path(self.brokers), "broker")
        self._outside = ""
        sites.put(BROKER_HOST, self._broker_site)

    def open_outside(self, domain: str) -> str:
        """The host at which brokers are reached from outside; there is one."""
        host = f"broker-ingress.{domain}"
        if host != self._outside:
            self._sites.remove(self._outside)
            self._sites.put(host, self._broker_site, public=True)
            self._outside = host
        return host

    def open_channel(self, host: str, entrance: Entrance) -> None:
        self.channels[host.encode()] = entrance
        self._sites.put(host, self._channel_site)

    def close_channel(self, host: str) -> None:
        if self.channels.pop(host.encode(), None) is not None:
            self._sites.remove(host)


@dataclass(frozen=True, slots=True)
class World(Objects):
    """Made once by the roof. `brokers`: the classes that are served here."""

    recorder: Recorder
    hosts: Hosts
    domain: Callable[[], str]
    """The one of routes without labels, for the addresses that brokers have outside."""
    plane: DataPlane
    log: EventLog
    doors: Doors
    brokers: dict[str, BrokerClass]
