"""mongodb: documents of a collection that match a query (pkg/scalers/mongo_scaler.go).

A collection that does not exist has none, as MongoDB says itself: it makes one with the first document. The reading
tells that there is none, since the name may be wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from core.clients.mongodb import MongoAccess, MongoClient
from core.clients.tls import ClientTls
from core.settings.declaration import Choice, Decimal, Text
from scalers.base import Definition, World
from scalers.lent import Lent
from scalers.metric_names import normalize
from scalers.params import AUTH, Parameters, Source, param
from scalers.readings import Reading, Target, Trigger

_AUTH_METADATA: Final = (Source.AUTH, Source.METADATA)
_AUTH_METADATA_ENV: Final = (Source.AUTH, Source.METADATA, Source.ENV)
_WITHOUT_STRING: Final = "is required where there is no connectionString"
_SRV: Final = "mongodb+srv"


@dataclass(frozen=True, slots=True)
class MongoUri:
    allowed: str = "must be a URL: mongodb://user:password@host:27017/database or mongodb+srv://…"

    def read(self, text: str) -> str:
        if not re.match(r"mongodb(\+srv)?://[^\s/?]", text):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class Query:
    """A filter in MongoDB's extended JSON, kept as it is written."""

    allowed: str = 'must be a filter in JSON, such as {"state": "running"}, and not an empty one'

    def read(self, text: str) -> str:
        try:
            parsed = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{self.allowed}: {error}") from None
        if not parsed or not isinstance(parsed, dict):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoParameters(Parameters):
    uri: str = param("connectionString", MongoUri(), "A URL of MongoDB.", "", sources=_AUTH_METADATA_ENV, secret=True)
    scheme: str = param(
        "scheme", Choice(("mongodb", _SRV)), "mongodb+srv: hosts are asked of DNS.", "mongodb", sources=_AUTH_METADATA
    )
    host: str = param("host", Text(), "Where it is.", "", sources=_AUTH_METADATA)
    port: str = param("port", Text(), "Its port.", "", sources=_AUTH_METADATA)
    username: str = param("username", Text(), "Who asks.", "", sources=_AUTH_METADATA)
    password: str = param("password", Text(), "The user's password.", "", sources=_AUTH_METADATA_ENV, secret=True)
    database: str = param("dbName", Text(), "Which database.", sources=_AUTH_METADATA)
    collection: str = param("collection", Text(), "Which collection of it.")
    query: str = param("query", Query(), "Which documents count.")
    target: float = param(
        "queryValue", Decimal(above=0), "Documents per replica.", is_target=True, differs="0 and less are refused"
    )
    activation: float = param("activationQueryValue", Decimal(), "Active above so many documents.", 0.0)
    tls: str = param("tls", Choice(("enable", "disable")), "Whether to speak TLS.", "disable", sources=AUTH)
    cert: str = param("cert", Text(), "The client's certificate, in PEM.", "", sources=AUTH)
    key: str = param("key", Text(), "Its key, in PEM.", "", sources=AUTH, secret=True)
    key_password: str = param("keyPassword", Text(), "The password of the key.", "", sources=AUTH, secret=True)
    ca: str = param("ca", Text(), "Who signed the server's certificate, in PEM.", "", sources=AUTH)

    def problems(self) -> Sequence[tuple[str, str]]:
        wanted = {"host": self.host, "port": self.port, "username": self.username, "password": self.password}
        if self.uri:
            wanted = {}
        elif self.scheme == _SRV:
            del wanted["port"]
        wrong = [(name, _WITHOUT_STRING) for name, value in wanted.items() if not value]
        if self.tls == "enable":
            if bool(self.cert) != bool(self.key):
                missing, given = ("key", "cert") if self.cert else ("cert", "key")
                wrong.append((missing, f"is required where there is a {given}"))
            elif not self.cert and not self.ca:
                wrong.append(("ca", "is required where tls is enabled, or cert and key are"))
        return wrong

    def access(self) -> MongoAccess:
        tls = ClientTls(self.ca, self.cert, self.key, self.key_password) if self.tls == "enable" else None
        if self.uri:
            return MongoAccess(self.uri, tls)
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = host if self.scheme == _SRV else f"{host}:{self.port}"
        user, password, database = (quote(each, safe="") for each in (self.username, self.password, self.database))
        return MongoAccess(f"{self.scheme}://{user}:{password}@{where}/{database}", tls)


class MongoScaler:
    """One query."""

    def __init__(self, parameters: MongoParameters, trigger: Trigger, world: World) -> None:
        self._database, self._collection = parameters.database, parameters.collection
        self._query = parameters.query
        name = normalize(f"mongodb-{parameters.collection}")
        self._target = Target(name, parameters.target, float(parameters.activation))
        self._server = Lent(parameters.access(), MongoClient, trigger, world)

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        client = await self._server.client()
        count = await client.count(self._database, self._collection, self._query)
        note = ""
        if not count and not await client.has_collection(self._database, self._collection):
            note = f"there is no collection {self._collection!r} in {self._database!r}, so nothing is in it"
        return (Reading(float(count), note=note),)

    async def close(self) -> None:
        await self._server.give_back()


def _make(parameters: MongoParameters, trigger: Trigger, world: World) -> MongoScaler:
    return MongoScaler(parameters, trigger, world)


DEFINITION = Definition(MongoParameters, _make, "Documents in MongoDB that match a query.", "mongodb")
