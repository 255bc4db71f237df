"""MySQL and MariaDB: the first row of a query."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from core.clients.connections import Connections
from core.clients.loading import load_client
from core.clients.masking import in_one_line
from core.clients.mysql_access import MysqlAccess
from core.errors import TemporaryError

CONNECT_S: Final = 3.0
ANSWER_S: Final = 5.0
CONNECTIONS_MAX: Final = 2
Connection: TypeAlias = Any  # aiomysql's, which has no types


class MysqlClient:
    """Made without effect. Connects when it is first asked, and again when a connection broke."""

    def __init__(self, access: MysqlAccess) -> None:
        self._access = access
        self._connections = Connections(_Driver(access), CONNECTIONS_MAX)

    async def first_row(self, query: str) -> Sequence[Any] | None:
        """None: there is none. TemporaryError: MySQL refuses, or does not answer in time. PermanentError: the library
        is missing, or the certificates cannot be read."""
        await load_client("aiomysql", "MySQL", "mysql")
        import pymysql

        async def ask(connection: Connection) -> Sequence[Any] | None:
            async with connection.cursor() as cursor:
                await cursor.execute(query)
                row: Sequence[Any] | None = await cursor.fetchone()
                return row

        try:
            async with asyncio.timeout(CONNECT_S + ANSWER_S):
                return await self._connections.ask(ask)
        except TimeoutError as error:
            raise TemporaryError(f"{self._access} does not answer within {CONNECT_S + ANSWER_S:g} s") from error
        except pymysql.MySQLError as error:
            what = "cannot be reached" if isinstance(error.__cause__, OSError) else "refuses"
            raise TemporaryError(f"{self._access} {what}: {self._words(error)}") from error
        except (OSError, EOFError, RuntimeError) as error:  # what the library lets through of asyncio's
            raise TemporaryError(f"{self._access} cannot be reached: {self._words(error)}") from error

    async def close(self) -> None:
        await self._connections.close()

    def _words(self, error: Exception) -> str:
        told = error.__cause__ or (Exception(error.args[1]) if len(error.args) > 1 else error)
        return in_one_line(told, (self._access.password,))


class _Driver:
    def __init__(self, access: MysqlAccess) -> None:
        self._access = access

    async def open(self) -> Connection:
        import aiomysql

        access = self._access
        connection = await aiomysql.connect(
            host=access.host,
            port=access.port,
            unix_socket=access.socket or None,
            user=access.user,
            password=access.password,
            db=access.database or None,
            ssl=access.tls and access.tls.context(),
            connect_timeout=CONNECT_S,
            autocommit=True,  # else each question would see what the first one saw
            program_name="pilotlight",
        )
        await self._limit(connection)
        return connection

    async def close(self, connection: Connection) -> None:
        connection.close()

    @staticmethod
    async def _limit(connection: Connection) -> None:
        """MySQL goes on with a query whose connection was closed, so it is told how long one may take."""
        from pymysql import MySQLError

        is_mariadb = "mariadb" in connection.get_server_info().lower()
        limit = f"max_statement_time = {ANSWER_S:g}" if is_mariadb else f"max_execution_time = {ANSWER_S * 1000:.0f}"
        async with connection.cursor() as cursor:
            with contextlib.suppress(MySQLError):  # an older one does not know it
                await cursor.execute(f"SET SESSION {limit}")

    def usable(self, connection: Connection) -> bool:
        return not connection.closed and connection._reader is not None and not connection._reader.at_eof()
