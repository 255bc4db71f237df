"""Where a PostgreSQL server is and as whom, in libpq's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

_PORT: Final = "5432"
_HOST: Final = re.compile(r"[\w.-]+")
# What upstream's library takes and libpq does not know (jackc/pgx): its pool, its cache of statements.
_OF_PGX: Final = "|".join(
    (
        "pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime", "pool_max_conn_idle_time",
        "pool_health_check_period", "pool_max_conn_lifetime_jitter", "default_query_exec_mode",
        "statement_cache_capacity", "description_cache_capacity",
    )
)  # fmt: skip
_VALUE: Final = r"'(?:[^'\\]|\\.)*'|\S*"
_PAIR: Final = re.compile(rf"(\w+)\s*=\s*({_VALUE})")
_IN_URL_OF_PGX: Final = re.compile(rf"(?<=[?&])(?:{_OF_PGX})=[^&]*&?")
_PAIR_OF_PGX: Final = re.compile(rf"(?:^|(?<=\s))(?:{_OF_PGX})\s*=\s*(?:{_VALUE})")


@dataclass(frozen=True, slots=True)
class PostgresAccess:
    """A connection string, which is a URL or `host=… port=…`; or the pairs of one, which nobody has written by hand."""

    connection: str = field(default="", repr=False)
    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    address: str = ""  # host:port where it is reached, whatever host certificates are asked for

    @property
    def addresses(self) -> Sequence[str]:
        """None where it names several hosts, a socket, or nothing."""
        known = _url_pairs(self.connection) if "://" in self.connection else dict(_PAIR.findall(self.connection))
        known |= dict(self.pairs)
        host, port = (known.get(name, "").strip("'") for name in ("host", "port"))
        return (f"{host}:{port or _PORT}",) if _HOST.fullmatch(host) else ()

    def at(self, addresses: Sequence[str]) -> PostgresAccess:
        return replace(self, address=addresses[0])


def without_pgx(connection: str) -> str:
    """A connection string without what only upstream's library understands."""
    if "://" in connection:
        return _IN_URL_OF_PGX.sub("", connection).rstrip("?&")
    return _PAIR_OF_PGX.sub("", connection).strip()


def _url_pairs(url: str) -> dict[str, str]:
    try:
        parts = urlsplit(url)
        return {"host": parts.hostname or "", "port": str(parts.port or "")}
    except ValueError:  # several hosts with ports of their own
        return {}
