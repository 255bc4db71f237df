"""Where the gateway answers, as URLs in a status say it. The roof makes one and hands it to the controllers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Hosts:
    """The ports that clients must name: the gateway's own, and the one that instances reach it on.

    The gateway speaks plain HTTP: an `https` URL is one of a proxy in front of it, on the port that nobody has to name.
    """

    public_port: int = 80
    cluster_local_port: int = 80

    def public_url(self, host: str, scheme: str = "http") -> str:
        return f"{scheme}://{host}" if scheme != "http" else _url(host, self.public_port)

    def local_url(self, host: str) -> str:
        return _url(host, self.cluster_local_port)


def _url(host: str, port: int) -> str:
    return f"http://{host}" if port == _HTTP_PORT else f"http://{host}:{port}"
