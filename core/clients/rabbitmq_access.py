"""Which RabbitMQ, and as whom: made from Secrets and ConfigMaps, for `core/clients/rabbitmq.py`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from core.clients.tls import ClientTls
from core.errors import PermanentError

PORT, TLS_PORT = 5672, 5671
REASON: Final = "InvalidConnectionSecret"


@dataclass(frozen=True, slots=True)
class Access:
    """`ca` is PEM text; None: the authorities that this machine trusts. `trust` says more, and wins. `server_name` is
    whose certificate is wanted where `host` is only the way there."""

    host: str
    port: int = PORT
    vhost: str = "/"
    user: str = "guest"
    password: str = field(default="guest", repr=False)
    tls: bool = False
    ca: str | None = None
    trust: ClientTls | None = None
    external: bool = False  # the certificate says who one is: SASL's EXTERNAL
    server_name: str = ""

    @property
    def place(self) -> str:
        """For people; without the password."""
        return f"{self.host}:{self.port}, virtual host {self.vhost}"


def access_of(data: Mapping[str, str], vhost: str | None = None) -> Access:
    """What the keys of a Secret say: `uri` or `host`, and `username`, `password`, `port`, `ca.crt`. PermanentError.

    `uri` is a whole AMQP URI, or what Knative's own broker finds there: the host, perhaps with the port and the scheme
    of the management API, which say nothing of AMQP. A key wins over the same thing in the URI; `vhost` over both.
    """
    uri = data.get("uri") or data.get("host") or ""
    if not uri:
        raise PermanentError("there is neither a key uri nor a key host", REASON)
    try:
        parts = urlsplit(uri if "://" in uri else f"//{uri}")
        own_port = parts.port
    except ValueError as error:
        raise PermanentError(f"uri is no address: {error}", REASON) from None
    amqp = parts.scheme in ("amqp", "amqps")
    if not parts.hostname or parts.scheme not in ("", "amqp", "amqps", "http", "https"):
        raise PermanentError("uri is no address: a host is allowed, or an amqp:// or amqps:// URI", REASON)
    tls = parts.scheme == "amqps"
    port = data.get("port") or str((own_port if amqp else None) or (TLS_PORT if tls else PORT))
    if not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise PermanentError(f"port is {port!r}; 1 to 65535 is allowed", REASON)
    own = unquote(parts.path[1:]) if amqp else ""
    return Access(
        host=parts.hostname,
        port=int(port),
        vhost=vhost or own or "/",
        user=data.get("username") or unquote(parts.username or "") or "guest",
        password=data.get("password") or unquote(parts.password or "") or "guest",
        tls=tls,
        ca=data.get("ca.crt") or None,
    )
