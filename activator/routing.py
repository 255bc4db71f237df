"""Which revision a request is for: Ingress and core Service objects in, a table of hosts out.

`endpoints` compiles an object when it changes, `claims` says which hosts that changes, and the gateway asks the table
once per request. A host is one dictionary look-up; only hosts with several paths, tags by header or a traffic split
think any further.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Final, TypeAlias

from activator.heads import RequestHead, valid_host, values
from core.inside import Place, Site
from core.resources.meta import Json
from core.resources.networking import HTTPOption, Visibility
from core.stats import RevisionKey

REMEMBERED_SPELLINGS_MAX: Final = 4096
"""Host values with a port or a trailing dot, remembered so that they cost one look-up too."""

WHOLE: Final = 100  # percent

# Set by the Route controller on every split so that an activator of its own knows the target; not for the app.
_OWN_HEADERS: Final = frozenset(("knative-serving-revision", "knative-serving-namespace"))


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A core Service behind a cluster-local name, by the port asked for."""

    namespace: str
    name: str
    port: int = 80

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"


BackendKey: TypeAlias = RevisionKey | ServiceKey
Draw: TypeAlias = Callable[[], float]
"""A number in [0, 1) for each request whose traffic is split."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes and what is changed on the way."""

    backend: BackendKey
    extra: bytes = b""  # field lines to append
    host: bytes = b""  # replaces the Host field, where set


@dataclass(frozen=True, slots=True)
class Path:
    """One rule of a host. `shares` are cumulative, in (0, 1]."""

    destinations: tuple[tuple[float, Destination], ...]
    prefix: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rewrite: bytes = (
        b""  # look here instead, where the table knows it (a DomainMapping follows its target's own routes)
    )

    def matches(self, head: RequestHead) -> bool:
        if self.prefix and not _under(head.target, self.prefix):
            return False
        return all(wanted in values(head.fields, name) for name, wanted in self.headers)

    def choose(self, draw: Draw) -> Destination:
        if len(self.destinations) == 1:
            return self.destinations[0][1]
        point = draw()
        return next((where for share, where in self.destinations if point < share), self.destinations[-1][1])


@dataclass(frozen=True, slots=True)
class HostRoutes:
    """All rules of one host. Where every request goes one way, `only` is that way, and `paths` are left out."""

    paths: tuple[Path, ...]
    visibility: Visibility = Visibility.EXTERNAL_IP
    redirect: bool = False  # plain HTTP is answered with the https URL
    only: Destination | None = None
    site: Site | None = None  # a part of the platform answers, and there is no more to find out

    @property
    def destinations(self) -> Iterable[Destination]:
        """Everywhere that a request may go."""
        if self.only is not None:
            return (self.only,)
        return [destination for path in self.paths for _, destination in path.destinations]

    def match(self, head: RequestHead) -> Path | None:
        return next((path for path in self.paths if path.matches(head)), None)


Compiled: TypeAlias = Mapping[bytes, HostRoutes]


RouteChanges: TypeAlias = Mapping[bytes, HostRoutes | None]
"""Hosts as they are from now on; None: nobody answers to it."""


@dataclass(slots=True)
class Table:
    """Every host that is known, and spellings of some. The platform's own `sites` come first."""

    hosts: dict[bytes, HostRoutes] = field(default_factory=dict)
    sites: Compiled = field(default_factory=dict)
    _spellings: dict[bytes, HostRoutes] = field(default_factory=dict)

    def change(self, changes: RouteChanges) -> None:
        self._spellings.clear()
        for host, routes in changes.items():
            if routes is None:
                self.hosts.pop(host, None)
            else:
                self.hosts[host] = routes

    def find(self, host: bytes) -> HostRoutes | None:
        """By a lowered Host value."""
        return self.sites.get(host) or self.hosts.get(host) or self._spellings.get(host) or self._spelled(host)

    def set_sites(self, sites: Compiled) -> None:
        self.sites = sites
        self._spellings.clear()

    def _spelled(self, host: bytes) -> HostRoutes | None:
        if not valid_host(host):
            return None
        name, port = split_port(host)
        routes = self.sites.get(name) or (self.hosts.get(b"%b:%d" % (name, port)) if port else None)
        routes = routes or self.hosts.get(name)
        if routes is not None and len(self._spellings) < REMEMBERED_SPELLINGS_MAX:
            self._spellings[host] = routes
        return routes


class EvenDraw:
    """A draw that spreads evenly: the golden ratio's multiples (Weyl's sequence), so that after n requests a share is
    off by about log(n) of them, where independent random numbers are off by about the square root of n."""

    def __init__(self, start: float = 0.0) -> None:
        self._at = start

    def __call__(self) -> float:
        self._at = (self._at + 0.6180339887498949) % 1.0
        return self._at


def route(table: Table, head: RequestHead, draw: Draw) -> Destination | None:
    """Where this request goes; None where nobody answers to its host and path."""
    routes = table.find(head.host)
    if routes is None:
        return None
    if routes.only is not None:
        return routes.only
    path = routes.match(head)
    if path is None:
        return None
    if path.rewrite and (target := table.find(path.rewrite)) is not None and target is not routes:
        inner = target.only or ((found := target.match(head)) and found.choose(draw))
        return Destination(inner.backend, inner.extra, path.rewrite) if inner else None
    return path.choose(draw)


def compile_ingress(ingress: Json) -> dict[bytes, HostRoutes]:
    """All hosts of one Ingress; where two of its rules name a host, the public one counts.

    Read as it is stored and not as a model: a platform that comes back to a thousand of them compiles these before it
    answers.
    """
    compiled: dict[bytes, HostRoutes] = {}
    spec = ingress["spec"]
    redirected = spec.get("httpOption") == HTTPOption.REDIRECTED
    for rule in spec.get("rules") or ():
        paths = tuple(_compile_path(path) for path in sorted(rule["http"]["paths"], key=_rank) if path["splits"])
        visibility = Visibility(rule.get("visibility") or Visibility.EXTERNAL_IP)
        public = visibility is Visibility.EXTERNAL_IP
        only = _only(paths)
        routes = HostRoutes(() if only else paths, visibility, redirected and public, only)
        for host in rule["hosts"]:
            name = host.lower().rstrip(".").encode()
            if public or name not in compiled:
                compiled[name] = routes
    return compiled


def _only(paths: tuple[Path, ...]) -> Destination | None:
    if len(paths) != 1 or len(paths[0].destinations) != 1:
        return None
    path = paths[0]
    return None if path.prefix or path.headers or path.rewrite else path.destinations[0][1]


def _rank(path: Json) -> tuple[bool, int]:
    """Those with headers first, then the longest path."""
    return not path.get("headers"), -len(path.get("path") or "")


def _compile_path(path: Json) -> Path:
    rewrite = (path.get("rewriteHost") or "").lower().encode()
    splits = [(split, split.get("percent", WHOLE)) for split in path["splits"]]
    total = sum(percent for _, percent in splits) or WHOLE
    destinations: list[tuple[float, Destination]] = []
    reached = 0
    for split, percent in splits:
        if percent <= 0 and len(splits) > 1:
            continue
        reached += percent
        extra = _lines({**(path.get("appendHeaders") or {}), **(split.get("appendHeaders") or {})})
        key = RevisionKey(intern(split["serviceNamespace"]), intern(split["serviceName"]))
        destinations.append((reached / total, Destination(key, extra, rewrite)))
    prefix = (path.get("path") or "").encode()
    wanted = (path.get("headers") or {}).items()
    headers = tuple((name.lower().encode(), match["exact"].encode()) for name, match in wanted)
    return Path(tuple(destinations), b"" if prefix == b"/" else prefix, headers, rewrite)


def _lines(headers: Mapping[str, str]) -> bytes:
    return b"".join(
        f"{name}: {value}\r\n".encode() for name, value in headers.items() if name.lower() not in _OWN_HEADERS
    )


def compile_service(
    namespace: str, name: str, ports: Iterable[int], suffix: str, external_name: str = ""
) -> dict[bytes, HostRoutes]:
    """The cluster-local names of a core Service: every spelling that a Pod's resolver would accept.

    An ExternalName is an alias: of another host of this table, where there is one, and else of one outside, which is
    called by its own name.
    """
    compiled: dict[bytes, HostRoutes] = {}
    rewrite = external_name.encode()
    for index, port in enumerate(ports):
        where = Destination(ServiceKey(namespace, name, port), host=rewrite)
        paths = (Path(((1.0, where),), rewrite=rewrite),)
        only = _only(paths)
        routes = HostRoutes(() if only else paths, Visibility.CLUSTER_LOCAL, only=only)
        for host in local_names(namespace, name, suffix):
            compiled[b"%b:%d" % (host, port)] = routes
            # Without a port in the Host field it is 80, or what the Service has first.
            if index == 0 or port == 80:
                compiled[host] = routes
    return compiled


def compile_sites(places: Mapping[str, Place]) -> Compiled:
    """The hosts that the platform itself answers to."""
    return {
        host.encode(): HostRoutes(
            (), Visibility.EXTERNAL_IP if place.public else Visibility.CLUSTER_LOCAL, site=place.site
        )
        for host, place in places.items()
    }


def lead_to(backend: BackendKey, sites: Compiled) -> Compiled:
    """The same hosts, for a process that has to ask another one."""
    where = Destination(backend)
    return {host: HostRoutes((Path(((1.0, where),)),), routes.visibility, only=where) for host, routes in sites.items()}


def local_names(namespace: str, name: str, suffix: str) -> tuple[bytes, ...]:
    short = f"{name}.{namespace}"
    return tuple(host.encode() for host in (short, f"{short}.svc", f"{short}.svc.{suffix}"))


def split_port(host: bytes) -> tuple[bytes, int]:
    """Name without port and trailing dot, and the port or 0."""
    name, colon, port = host.rpartition(b":")
    if not colon or not port.isdigit() or name[-1:] == b":":
        return host.rstrip(b"."), 0
    return name.rstrip(b"."), int(port[:5])


def _under(target: bytes, prefix: bytes) -> bool:
    """Whether a path lies at or below a prefix, by whole segments."""
    path = target.partition(b"?")[0]
    return path.startswith(prefix) and (len(path) == len(prefix) or prefix[-1:] == b"/" or path[len(prefix)] == 0x2F)
