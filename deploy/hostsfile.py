"""Service names inside instances: the hosts file that stands in for cluster DNS. Pure.

Every name that a Route, a core Service or a DomainMapping has, at the gateway's address as the instances see it; below
what the machine's own /etc/hosts says. `deploy/names` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable

CLUSTER_DOMAIN = "cluster.local"
BEGIN = "# Pilotlight: names of Services. Written anew when they change.\n"


def local_names(name: str, namespace: str) -> tuple[str, ...]:
    """All forms of a Service's cluster-local name, the longest first."""
    short = f"{name}.{namespace}"
    return f"{short}.svc.{CLUSTER_DOMAIN}", f"{short}.svc", short


def host_of(url: str) -> str:
    """`http://hello.default.localhost:8080/x` → `hello.default.localhost`; "" for what is no URL."""
    authority = url.partition("://")[2].partition("/")[0]
    return authority.rpartition(":")[0] if authority.rpartition(":")[2].isdigit() else authority


def hosts_text(machine: str, address: str, groups: Iterable[Iterable[str]]) -> str:
    """The file: the machine's own lines, then one line per group of names."""
    own = machine.partition(BEGIN)[0]
    if own and not own.endswith("\n"):
        own += "\n"
    lines = sorted({f"{address} {' '.join(dict.fromkeys(name for name in group if name))}\n" for group in groups})
    return own + BEGIN + "".join(line for line in lines if line.strip() != address)
