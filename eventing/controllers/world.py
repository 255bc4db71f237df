"""What every controller of eventing is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from core.inside import Site, Sites
from core.reconcile.events import Recorder
from core.reconcile.objects import Objects
from core.resources.hosts import Hosts
from core.resources.meta import Json
from eventing.brokers.base import Broker
from eventing.dataplane import DataPlane
from eventing.entrance import Entrance
from eventing.ingress import Ingress, by_host, by_path
from eventing.log.log import EventLog
from eventing.places import Places
from eventing.sink_env import Bindings

BrokerClass: TypeAlias = Callable[[str, Json], Awaitable[Broker]]
"""A stream's name and the Broker object → what keeps its events. PermanentError: its configuration is wrong, and how.
TemporaryError: what it names is not there yet."""

BROKER_HOST: Final = "broker-ingress.knative-eventing.svc.cluster.local"


class Doors:
    """Where events come in: brokers by path at one host, channels and flows by a host of their own each.

    `places` (those of the data plane) say the same of URLs: what goes from one of them to another takes no door.
    """

    def __init__(self, sites: Sites, places: Places) -> None:
        self._places = places
        self._streams: dict[str, str] = {}  # of brokers by path, of all others by host
        self.brokers: dict[bytes, Entrance] = {}
        self.channels: dict[bytes, Entrance] = {}
        self._sites = sites
        self._channel_site = Ingress(by_host(self.channels), "channel")
        self._broker_site = Ingress(by_path(self.brokers), "broker")
        self._outside = ""
        sites.put(BROKER_HOST, self._broker_site)

    def open_site(self, host: str, site: Site) -> None:
        """A sort of sink that answers by itself, for instances only."""
        self._sites.put(host, site)

    def open_outside(self, domain: str) -> str:
        """The host at which brokers are reached from outside; there is one."""
        host = f"broker-ingress.{domain}"
        if host != self._outside:
            self._sites.remove(self._outside)
            self._sites.put(host, self._broker_site, public=True)
            for path in self.brokers:
                where, stream = path.decode(), self._streams[path.decode()]
                self._places.drop(self._outside, where)
                self._places.put(host, where, stream)
            self._outside = host
        return host

    def open_broker(self, path: str, stream: str, entrance: Entrance) -> None:
        self.brokers[path.encode()] = entrance
        self._streams[path] = stream
        for host in (BROKER_HOST, self._outside):
            self._places.put(host, path, stream)

    def close_broker(self, path: str) -> None:
        self.brokers.pop(path.encode(), None)
        self._streams.pop(path, None)
        for host in (BROKER_HOST, self._outside):
            self._places.drop(host, path)

    def open_channel(self, host: str, stream: str, entrance: Entrance) -> None:
        if self.channels.get(host.encode()) is not entrance:
            self.channels[host.encode()] = entrance
            self._streams[host] = stream
            self._places.put(host, "/", stream)
            self._sites.put(host, self._channel_site)

    def close_channel(self, host: str, stream: str) -> None:
        """Where it is that stream's: a host is of whoever claimed its Service."""
        if self._streams.get(host) == stream:
            del self._streams[host], self.channels[host.encode()]
            self._places.drop(host, "/")
            self._sites.remove(host)


@dataclass(frozen=True, slots=True)
class World(Objects):
    """Made once by the roof. `brokers`: the classes that are served here."""

    recorder: Recorder
    hosts: Hosts
    domain: Callable[[], str]
    """The one of routes without labels, for the addresses that brokers have outside."""
    settings: Callable[[], Mapping[str, Any]]
    """Those in force, by the names of `core.settings.config_maps`."""
    plane: DataPlane
    log: EventLog
    doors: Doors
    brokers: dict[str, BrokerClass]
    bindings: Bindings = field(default_factory=Bindings)
    platform: str = "pilotlight"
    """A name that it has in every life, and no other platform has, for servers that several use."""
