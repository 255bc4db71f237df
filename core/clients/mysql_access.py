"""Where a MySQL server is and as whom, read from a connection string of upstream's library (go-sql-driver/mysql):
`user:password@tcp(host:3306)/database?tls=true`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, unquote

from core.clients.tls import ClientTls

WANTED: Final = "must be user:password@tcp(host:3306)/database"
_PORT: Final = 3306
_TLS: Final = {
    **dict.fromkeys(("1", "true", "TRUE", "True"), ClientTls()),
    **dict.fromkeys(("0", "false", "FALSE", "False"), None),
    **dict.fromkeys(("skip-verify", "preferred"), ClientTls(check=False)),
}


@dataclass(frozen=True, slots=True)
class MysqlAccess:
    """`socket` is the path of a Unix socket, instead of a host and a port."""

    host: str = "127.0.0.1"
    port: int = _PORT
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    tls: ClientTls | None = None
    socket: str = ""

    @property
    def addresses(self) -> Sequence[str]:
        return () if self.socket else (f"{self.host}:{self.port}",)

    def at(self, addresses: Sequence[str]) -> MysqlAccess:
        host, port = host_and_port(addresses[0])
        return replace(self, host=host, port=port)

    def __str__(self) -> str:
        return f"MySQL at {self.socket or f'{self.host}:{self.port}'}, database {self.database}"


def parse_connection_string(text: str) -> MysqlAccess:
    """ValueError, without any of the text: it may be anywhere that there is a password in it."""
    head, slash, tail = text.rpartition("/")
    if not slash:
        raise ValueError(f"{WANTED}: there is no slash before the database")
    credential, _, network = head.rpartition("@")
    user, _, password = credential.partition(":")
    protocol, bracket, address = network.partition("(")
    if bracket and not address.endswith(")"):
        raise ValueError(f"{WANTED}: the address has no end, or what follows it is not escaped")
    database, _, query = tail.partition("?")
    shared = {"user": user, "password": password, "database": unquote(database), "tls": _tls(query)}
    address = address.removesuffix(")")
    # `shared` are fields by name, of several types: mypy sees one for all.
    if protocol == "unix":
        return MysqlAccess(socket=address or "/tmp/mysql.sock", **shared)  # type: ignore[arg-type]
    if protocol not in ("", "tcp"):
        raise ValueError(f"{WANTED}: tcp and unix are known")
    host, port = host_and_port(address)
    return MysqlAccess(host=host, port=port, **shared)  # type: ignore[arg-type]


def host_and_port(address: str) -> tuple[str, int]:
    """Of `host`, `host:port`, `[::1]:port`; ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = address, str(_PORT)
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"{WANTED}: the port must be a number below 65536")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def _tls(query: str) -> ClientTls | None:
    word = dict(parse_qsl(query)).get("tls", "false")
    if word not in _TLS:
        raise ValueError(f"{WANTED}: tls must be true, false, skip-verify or preferred")
    return _TLS[word]
