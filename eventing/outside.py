"""Which sinks outside the platform may be called: none on this machine or in a private network, unless it is allowed.

Whoever may write a Trigger chooses a URL that this process will call, and it can reach more than its users can (SSRF,
CWE-918). The roof reads the exceptions from `config-sinks`; `core/clients/http.py` asks for every address. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

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
