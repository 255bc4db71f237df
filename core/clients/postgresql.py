"""PostgreSQL: the first row of a query, over libpq's connection strings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from core.clients.connections import Connections
from core.clients.loading import load_client
from core.clients.masking import in_one_line
from core.clients.postgresql_access import PostgresAccess, without_pgx
from core.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

CONNECT_S: Final = 3
ANSWER_S: Final = 5.0
CANCEL_S: Final = 1.0
CONNECTIONS_MAX: Final = 2


class PostgresClient:
    """Made without effect. Connects when it is first asked, and again when a connection broke."""

    def __init__(self, access: PostgresAccess) -> None:
        self._access = access
        self._connections: Connections[Connection] | None = None
        self._driver: _Driver | None = None

    async def first_row(self, query: str) -> Sequence[Any] | None:
        """None: there is none. TemporaryError: PostgreSQL refuses, or does not answer in time. PermanentError: the
        library is missing, or the connection string is none."""
        await load_client("psycopg", "PostgreSQL", "postgresql")
        import psycopg

        if self._driver is None or self._connections is None:
            self._driver = _Driver(self._access)
            self._connections = Connections(self._driver, CONNECTIONS_MAX)
        where = self._driver.where

        async def ask(connection: Connection) -> Sequence[Any] | None:
            cursor = await connection.execute(query.encode())
            row: Sequence[Any] | None = await cursor.fetchone()
            return row

        limit = CONNECT_S + ANSWER_S
        try:
            # The library cancels in the server what is given up here, and waits for that, twice five seconds.
            async with asyncio.timeout(limit + CANCEL_S), asyncio.timeout(limit):
                return await self._connections.ask(ask)
        except TimeoutError as error:
            raise TemporaryError(f"{where} does not answer within {limit:g} s") from error
        except (psycopg.Error, OSError) as error:
            words = in_one_line(error, self._driver.secrets)
            refused = isinstance(error, psycopg.Error) and error.sqlstate
            raise TemporaryError(f"{where} {'refuses' if refused else 'cannot be reached'}: {words}") from error

    async def close(self) -> None:
        if self._connections is not None:
            await self._connections.close()


class _Driver:
    def __init__(self, access: PostgresAccess) -> None:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            known = conninfo_to_dict(without_pgx(access.connection), **dict(access.pairs))
        except ProgrammingError as error:  # whose words may show a part of the string
            raise PermanentError(
                "the connection string of PostgreSQL cannot be read: a URL is wanted, such as"
                " postgresql://user:password@host:5432/database, or host=… port=… user=… password=… dbname=… sslmode=…",
                "InvalidConnection",
            ) from error
        self._known = {"application_name": "pilotlight", **known, **_reached(access), "connect_timeout": CONNECT_S}
        self.secrets = [str(known[name]) for name in ("password", "sslpassword") if known.get(name)]
        host, port = (known.get(name) or default for name, default in (("host", "localhost"), ("port", 5432)))
        database = known.get("dbname") or known.get("user") or "postgres"
        self.where = f"PostgreSQL at {access.address or f'{host}:{port}'}, database {database}"

    async def open(self) -> Connection:
        from psycopg import AsyncConnection

        # Without prepared statements: a pool before the server may give each question to another connection.
        # `_known` are parameters by name, of several types: mypy sees one for all.
        return await AsyncConnection.connect(autocommit=True, prepare_threshold=None, **self._known)  # type: ignore[arg-type]

    async def close(self, connection: Connection) -> None:
        await connection.close()

    def usable(self, connection: Connection) -> bool:
        return not connection.closed


def _reached(access: PostgresAccess) -> dict[str, str]:
    """An address beside the host, whose name stays the one that a certificate must have."""
    if not access.address:
        return {}
    host, _, port = access.address.rpartition(":")
    host = host.strip("[]")
    try:
        ip_address(host)
    except ValueError:
        return {"host": host, "port": port}
    return {"hostaddr": host, "port": port}
