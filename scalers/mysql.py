"""mysql: the number that a query returns (pkg/scalers/mysql_scaler.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.clients.mysql import MysqlClient
from core.clients.mysql_access import MysqlAccess, parse_connection_string
from core.clients.tls import ClientTls
from core.settings.declaration import Choice, Decimal, Text
from scalers.base import Definition, World
from scalers.lent import Lent
from scalers.metric_names import normalize
from scalers.params import ANYWHERE, AUTH_OR_ENV, METADATA_OR_AUTH, Parameters, param
from scalers.readings import Reading, Target, Trigger
from scalers.sql import number_of

_WITHOUT_STRING: Final = "is required where there is no connectionString"


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """As upstream's library reads it."""

    allowed: str = "must be user:password@tcp(host:3306)/database"

    def read(self, text: str) -> MysqlAccess:
        return parse_connection_string(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class MysqlParameters(Parameters):
    query: str = param("query", Text(), "Returns one row with one number.")
    target: float = param(
        "queryValue",
        Decimal(above=0),
        "Of that number, per replica.",
        is_target=True,
        differs="0 and less are refused",
    )
    activation: float = param("activationQueryValue", Decimal(), "Active above that number.", 0.0)
    connection: MysqlAccess | None = param(
        "connectionString",
        ConnectionString(),
        "user:password@tcp(host:3306)/database.",
        None,
        sources=AUTH_OR_ENV,
        secret=True,
    )
    host: str = param("host", Text(), "Where it is.", "", sources=ANYWHERE)
    port: str = param("port", Text(), "Its port.", "", sources=ANYWHERE)
    username: str = param("username", Text(), "Who asks.", "", sources=ANYWHERE)
    password: str = param("password", Text(), "The user's password.", "", sources=AUTH_OR_ENV, secret=True)
    database: str = param("dbName", Text(), "Which database.", "", sources=METADATA_OR_AUTH)
    tls: str = param("tls", Choice(("enable", "disable")), "Whether to speak TLS.", "disable", sources=METADATA_OR_AUTH)
    ca: str = param("ca", Text(), "Who signed the server's certificate, in PEM.", "", sources=ANYWHERE)
    metric_name: str = param("metricName", Text(), "Read and not used, as upstream does.", "")

    def problems(self) -> Sequence[tuple[str, str]]:
        if self.connection is not None:
            return ()
        wanted = {"host": self.host, "port": self.port, "username": self.username, "dbName": self.database}
        wrong = [(name, _WITHOUT_STRING) for name, value in wanted.items() if not value]
        if not wrong and not (self.port.isascii() and self.port.isdigit()):
            return [("port", f"is {self.port!r}, must be a number such as 3306")]
        return wrong

    def access(self) -> MysqlAccess:
        tls = ClientTls(self.ca) if self.tls == "enable" else None
        if self.connection is None:
            return MysqlAccess(self.host, int(self.port), self.username, self.password, self.database, tls)
        return self.connection if self.connection.tls else replace(self.connection, tls=tls)


class MysqlScaler:
    """One query."""

    def __init__(self, parameters: MysqlParameters, trigger: Trigger, world: World) -> None:
        access = parameters.access()
        self._query = parameters.query
        self._target = Target(normalize(f"mysql-{access.database}"), parameters.target, parameters.activation)
        self._server = Lent(access, MysqlClient, trigger, world)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        client = await self._server.client()
        return (Reading(number_of(await client.first_row(self._query))),)

    async def close(self) -> None:
        await self._server.give_back()


def _make(parameters: MysqlParameters, trigger: Trigger, world: World) -> MysqlScaler:
    return MysqlScaler(parameters, trigger, world)


DEFINITION = Definition(MysqlParameters, _make, "The number that a query in MySQL returns.", "mysql")
