"""`config-sinks` of `knative-eventing`: which sinks outside the platform may be called.

Whoever may write a Trigger chooses a URL that this process will call, and it can reach more than its users can (SSRF,
CWE-918). So nothing on this machine or in a private network is called unless an operator has named it here. Asked by
`core/clients/http.py` for every address. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from core.errors import FieldError
from core.settings.declaration import Settings, key, parse_settings

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts` are names that may lead anywhere, `networks` addresses that any name may lead to."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def allows(self, host: str, address: Address) -> bool:
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            return self.allows(host, mapped)
        if address.is_global and not address.is_multicast:
            return True
        return host.lower() in self.hosts or any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class _GuardReader:
    allowed: str = "must be host names, addresses or networks, with commas between"

    def read(self, text: str) -> Guard:
        return parse_guard(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings(Settings):
    """What `config-sinks` says."""

    guard: Guard = key(
        "allowed-sinks", _GuardReader(), Guard(), "hosts, addresses and networks that are called although not public"
    )


def parse_sinks(data: Mapping[str, str]) -> SinkSettings | list[FieldError]:
    return parse_settings(SinkSettings, data)


def parse_guard(text: str) -> Guard:
    """From names, addresses and networks in CIDR form, with commas or white space between. ValueError names the one."""
    hosts: set[str] = set()
    networks: list[IPv4Network | IPv6Network] = []
    for part in text.replace(",", " ").split():
        try:
            networks.append(ip_network(part.strip("[]"), strict=False))
        except ValueError:
            if "/" in part or ":" in part or not part.replace("-", "").replace(".", "").isalnum():
                raise ValueError(
                    f"{part!r} is neither a host name, nor an address, nor a network such as 10.0.0.0/8"
                ) from None
            hosts.add(part.lower())
    return Guard(frozenset(hosts), tuple(networks))
