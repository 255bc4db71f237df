"""MongoDB: how many documents of a collection match a query."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias
from urllib.parse import unquote

from core.clients.loading import load_client
from core.clients.masking import in_one_line
from core.clients.tls import ClientTls, TlsFiles
from core.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient

    Connected: TypeAlias = AsyncMongoClient[dict[str, Any]]

CONNECT_S: Final = 3.0
ANSWER_S: Final = 5.0
CONNECTIONS_MAX: Final = 2
_PORT: Final = 27017
_WANTED: Final = (
    "the connection string of MongoDB cannot be read: a URL is wanted, such as"
    " mongodb://user:password@host:27017/database or mongodb+srv://user:password@host/database"
)


@dataclass(frozen=True, slots=True)
class MongoAccess:
    """`uri`: mongodb:// or mongodb+srv://, with its options."""

    uri: str = field(repr=False)
    tls: ClientTls | None = None

    @property
    def hosts(self) -> str:
        """As the URL has them, with commas between them."""
        return _parts(self.uri)[2]

    @property
    def addresses(self) -> Sequence[str]:
        """None of mongodb+srv, whose hosts DNS knows."""
        if self.uri.startswith("mongodb+srv:"):
            return ()
        hosts = (each.strip() for each in self.hosts.split(","))
        return [each if re.search(r":\d+$", each) else f"{each}:{_PORT}" for each in hosts]

    def at(self, addresses: Sequence[str]) -> MongoAccess:
        before, credential, _, after = _parts(self.uri)
        return replace(self, uri=f"{before}{credential}{','.join(addresses)}{after}")


class MongoClient:
    """Made without effect. Connects when it is first asked, and again when a connection broke.

    TemporaryError of every question: nobody answers in time, or MongoDB refuses. PermanentError: the library is
    missing, the URL is none, or the certificates cannot be read.
    """

    def __init__(self, access: MongoAccess) -> None:
        self._access = access
        self._connected: Connected | None = None
        self._files: TlsFiles | None = None
        self._secrets: tuple[str, ...] = ()
        self._where = "MongoDB"

    async def count(self, database: str, collection: str, query: str) -> int:
        """`query` in MongoDB's extended JSON. 0 where the collection does not exist."""
        async with self._asking() as connected:
            from bson.json_util import loads

            limit = int(ANSWER_S * 1000)
            return await connected[database][collection].count_documents(loads(query), maxTimeMS=limit)

    async def has_collection(self, database: str, collection: str) -> bool:
        """Whether somebody has made it; true, too, where one may not know."""
        from pymongo.errors import OperationFailure

        async with self._asking() as connected:
            try:
                names = await connected[database].list_collection_names(filter={"name": collection})
            except OperationFailure:
                return True
            return collection in names

    async def close(self) -> None:
        connected, self._connected = self._connected, None
        if connected is not None:
            with contextlib.suppress(Exception):  # what cannot be closed is gone
                await connected.close()
        if self._files is not None:
            self._files.close()
            self._files = None

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[Connected]:
        for module in ("pymongo", "bson.json_util"):
            await load_client(module, "MongoDB", "mongodb")
        from pymongo import errors

        try:
            async with asyncio.timeout(CONNECT_S + ANSWER_S):
                if self._connected is None:
                    self._connected = self._connect()
                yield self._connected
        except (TimeoutError, errors.ExecutionTimeout, errors.NetworkTimeout) as error:
            raise TemporaryError(f"{self._where} does not answer within {CONNECT_S + ANSWER_S:g} s") from error
        except (errors.ConnectionFailure, errors.ConfigurationError, OSError) as error:
            self._fail("cannot be reached", error)
        except errors.PyMongoError as error:
            self._fail("refuses", error)

    def _fail(self, what: str, error: Exception) -> NoReturn:
        raise TemporaryError(f"{self._where} {what}: {_first_sentence(in_one_line(error, self._secrets))}") from error

    def _connect(self) -> Connected:
        """Nothing of the network is touched yet, but for the name of mongodb+srv."""
        from pymongo import AsyncMongoClient
        from pymongo.errors import ConfigurationError, InvalidURI

        password = _parts(self._access.uri)[1].removesuffix("@").partition(":")[2]
        self._secrets = (password, unquote(password))
        self._where = f"MongoDB at {self._access.hosts}"
        try:
            made: Connected = AsyncMongoClient(
                self._access.uri,
                appname="pilotlight",
                maxPoolSize=CONNECTIONS_MAX,
                connectTimeoutMS=int(CONNECT_S * 1000),
                serverSelectionTimeoutMS=int(CONNECT_S * 1000),
                socketTimeoutMS=int(ANSWER_S * 1000),
                **self._tls_settings(),
            )
        except (InvalidURI, ConfigurationError, ValueError) as error:  # whose words may show a part of the URL
            raise PermanentError(_WANTED, "InvalidConnection") from error
        return made

    def _tls_settings(self) -> dict[str, Any]:
        """The library takes files only, and would ask at the terminal for the password of a key."""
        tls = self._access.tls
        if tls is None:
            return {}
        tls.context()
        self._files = self._files or TlsFiles(tls)
        files = {"tlsCAFile": self._files.ca, "tlsCertificateKeyFile": self._files.certificate_and_key}
        return {"tls": True, **{name: path for name, path in files.items() if path}}


def _parts(uri: str) -> tuple[str, str, str, str]:
    """`mongodb://`, `user:password@`, `host:port,host:port`, `/database?options`."""
    scheme, separator, rest = uri.partition("://")
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    credential, at, hosts = authority.rpartition("@")
    return scheme + separator, credential + at, hosts, rest[len(authority) :]


def _first_sentence(words: str) -> str:
    """Without the tables that the library adds."""
    return re.split(r" \(configured timeouts|, Timeout: |, full error: ", words, maxsplit=1)[0].rstrip(".")
