"""postgresql: the number that a query returns (pkg/scalers/postgresql_scaler.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.clients.postgresql import PostgresClient
from core.clients.postgresql_access import PostgresAccess
from core.errors import PermanentError
from core.settings.declaration import Decimal, Text
from scalers.base import Definition, World
from scalers.lent import Lent
from scalers.params import AUTH_OR_ENV, Parameters, Source, param
from scalers.readings import Reading, Target, Trigger
from scalers.sql import number_of

_AUTH_OR_METADATA: Final = (Source.AUTH, Source.METADATA)
_WITHOUT_CONNECTION: Final = "is required where there is no connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresParameters(Parameters):
    query: str = param("query", Text(), "Returns one row with one number.")
    target: float = param(
        "targetQueryValue",
        Decimal(above=0),
        "Of that number, per replica.",
        is_target=True,
        differs="a negative one is refused",
    )
    activation: float = param("activationTargetQueryValue", Decimal(), "Active above that number.", 0.0)
    connection: str = param("connection", Text(), "A connection string of libpq.", "", sources=AUTH_OR_ENV, secret=True)
    host: str = param("host", Text(), "Where it is; several with commas.", "", sources=_AUTH_OR_METADATA)
    port: str = param("port", Text(), "Its port.", "", sources=_AUTH_OR_METADATA)
    user: str = param("userName", Text(), "Who asks.", "", sources=_AUTH_OR_METADATA)
    password: str = param("password", Text(), "The user's password.", "", sources=AUTH_OR_ENV, secret=True)
    database: str = param("dbName", Text(), "Which database.", "", sources=_AUTH_OR_METADATA)
    sslmode: str = param(
        "sslmode", Text(), "disable, require, verify-full …, as libpq has it.", "", sources=_AUTH_OR_METADATA
    )

    def problems(self) -> Sequence[tuple[str, str]]:
        if self.connection:
            return ()
        wanted = {"host": self.host, "port": self.port, "userName": self.user, "dbName": self.database}
        return [
            (name, _WITHOUT_CONNECTION) for name, value in (wanted | {"sslmode": self.sslmode}).items() if not value
        ]

    def access(self) -> PostgresAccess:
        if self.connection:
            return PostgresAccess(self.connection)
        pairs = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "dbname": self.database,
            "sslmode": self.sslmode,
            "password": self.password,
        }
        return PostgresAccess(pairs=tuple((name, value) for name, value in pairs.items() if value))


class PostgresScaler:
    """One query."""

    def __init__(self, parameters: PostgresParameters, trigger: Trigger, world: World) -> None:
        self._query = parameters.query
        self._target = Target("postgresql", parameters.target, parameters.activation)
        self._server = Lent(parameters.access(), PostgresClient, trigger, world)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        client = await self._server.client()
        return (Reading(number_of(await client.first_row(self._query))),)

    async def close(self) -> None:
        await self._server.give_back()


def _check(parameters: PostgresParameters, trigger: Trigger) -> None:
    if trigger.pod_identity not in ("", "none"):
        raise PermanentError(
            f"{trigger.path}.authenticationRef: podIdentity {trigger.pod_identity} does not work with PostgreSQL yet; a"
            " password or a connection does",
            "InvalidTrigger",
        )


def _make(parameters: PostgresParameters, trigger: Trigger, world: World) -> PostgresScaler:
    return PostgresScaler(parameters, trigger, world)


DEFINITION = Definition(
    PostgresParameters, _make, "The number that a query in PostgreSQL returns.", "postgresql", _check
)
