"""Where the gateway answers, as URLs in a status say it. The roof makes one and hands it to the controllers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hosts:
    """The ports that clients must name: the gateway's own, and the one that instances reach it on."""

    public_port: int = 80
    cluster_local_port: int = 80

    def public_url(self, host: str, scheme: str = "http") -> str:
        return _url(scheme, host, self.public_port)

    def local_url(self, host: str) -> str:
        return _url("http", host, self.cluster_local_port)


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{host}" if port == _DEFAULT_PORTS.get(scheme) else f"{scheme}://{host}:{port}"
