"""`limit` and `continue`: the pages of one list are cut from one snapshot, whatever was written in between.

A token names a snapshot by its resource version and the last object that was handed out. Snapshots are kept for a few
minutes, as etcd keeps old revisions; a token that outlived its snapshot is answered with 410 and a second token that
goes on from the same place in the present (k8s.io/apiserver storage/continue.go).
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from core.errors import BadRequest, Expired
from core.resources.meta import Json, Kind, key_of

SNAPSHOT_AGE_MAX_S = 300.0  # etcd's default compaction interval
SNAPSHOTS_MAX = 32
INCONSISTENT = -1  # the token's resource version where the caller goes on in the present

Entry: TypeAlias = bytes | Json
"""An object as the store handed it out: as text, or parsed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every object of a kind in a namespace ("" for all) at one resource version, by namespace, then name."""

    entries: Sequence[Entry]
    resource_version: int


@dataclass(frozen=True, slots=True)
class Token:
    """Where a list goes on: after this object, in the snapshot of this version."""

    resource_version: int
    namespace: str
    name: str

    def encode(self) -> str:
        document = {"v": "meta.k8s.io/v1", "rv": self.resource_version, "start": [self.namespace, self.name]}
        return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Token:
        """BadRequest for anything that `encode` did not write."""
        try:
            document = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            namespace, name = document["start"]
            version = document["rv"]
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise BadRequest("continue key is not valid: it must be the one that the last page came with") from error
        if not (isinstance(version, int) and isinstance(namespace, str) and isinstance(name, str)):
            raise BadRequest("continue key is not valid: it must be the one that the last page came with")
        return cls(version, namespace, name)


class Snapshots:
    """The snapshots that some page may still be asked of: bounded in number and age."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Kind[Any], str, int], tuple[float, Snapshot]] = OrderedDict()

    def keep(self, kind: Kind[Any], namespace: str, snapshot: Snapshot, now: float) -> None:
        """`now`: monotonic seconds."""
        self._expire(now)
        self._kept[kind, namespace, snapshot.resource_version] = (now, snapshot)
        if len(self._kept) > SNAPSHOTS_MAX:
            self._kept.popitem(last=False)

    def find(self, kind: Kind[Any], namespace: str, resource_version: int, now: float) -> Snapshot | None:
        self._expire(now)
        found = self._kept.get((kind, namespace, resource_version))
        return found[1] if found else None

    def _expire(self, now: float) -> None:
        while self._kept:
            key, (since, _) = next(iter(self._kept.items()))
            if now - since < SNAPSHOT_AGE_MAX_S:
                return
            del self._kept[key]


def parsed(entry: Entry) -> Json:
    """The object of an entry."""
    if isinstance(entry, bytes):
        document: Json = orjson.loads(entry)
        return document
    return entry


def position(snapshot: Snapshot, token: Token) -> int:
    """The index of the first entry after the token's."""

    def order(entry: Entry) -> tuple[str, str]:
        key = key_of(parsed(entry))
        return key.namespace, key.name

    return bisect_right(snapshot.entries, (token.namespace, token.name), key=order)


def expired(token: Token) -> Expired:
    """What a caller with an old token is told, with the token that lets it go on."""
    error = Expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    error.continuation = Token(INCONSISTENT, token.namespace, token.name).encode()
    return error
