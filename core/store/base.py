"""The one face of "where objects are kept": SQLite and memory on one machine, the API server on a cluster.

Controllers, the API server's verbs and the CLI's loops know only this. Objects are `Json`; what a store returns is
shared and must not be changed. Every accepted write gets a resource version greater than all before it, and is seen by
watchers in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

from core.resources.meta import Json, Kind, ObjectKey


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change. `old` is the object before it, where there was one and this store knows it."""

    type: EventType
    object: Json
    resource_version: int
    old: Json | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A consistent list: nothing later than `resource_version` is in it, nothing earlier is missing."""

    items: list[Json]
    resource_version: int


@dataclass(frozen=True, slots=True)
class ByteListing:
    """A `Listing` whose objects are compact JSON text."""

    items: Sequence[bytes]
    resource_version: int


class Propagation(StrEnum):
    BACKGROUND = "Background"
    FOREGROUND = "Foreground"
    ORPHAN = "Orphan"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Preconditions and manner of a deletion (metav1.DeleteOptions)."""

    uid: str | None = None
    resource_version: str | None = None
    propagation: Propagation | None = None  # None: as the object's finalizers say, else in the background
    grace_period_s: int | None = None  # None: the kind's own


Change: TypeAlias = Callable[[Json], Json]
"""Makes the new object from a private copy of the current one. Must be pure: it may be called again."""


class Watch(Protocol):
    """Changes in their order. Waiting for the next one may be cancelled and begun again without losing any."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> WatchEvent: ...

    @property
    def resource_version(self) -> int:
        """Every change up to it has been handed out: what a bookmark may say."""


class Store(Protocol):
    """All methods raise the `core.errors.ApiError` family.

    `subresource` is "" for a write of everything but status, "status" for a write of status only.
    """

    async def get(self, kind: Kind[Any], name: str, namespace: str = "") -> Json:
        """The object. NotFound."""

    async def list(
        self, kind: Kind[Any], namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Listing:
        """All objects, or those of one namespace, that carry all of `labels`; ordered by namespace, then name."""

    def watch(
        self, kind: Kind[Any], namespace: str | None = None, since: int | None = None, name: str = ""
    ) -> AbstractAsyncContextManager[Watch]:
        """Changes after `since` (None: from now on), in order. Expired, at once or later, when a change was lost.

        `name`: the watcher looks at this object alone, so that changes of others may have been lost.
        """

    async def create(self, kind: Kind[Any], obj: Json) -> Json:
        """Stores a new object: gives uid, creationTimestamp, generation 1. AlreadyExists, StoreFull."""

    async def update(self, kind: Kind[Any], obj: Json, subresource: str = "") -> Json:
        """Replaces it. Where `metadata.resourceVersion` is set it must be the current one: Conflict. NotFound.

        An object whose deletion was asked for and whose last finalizer is taken off by this write, is removed.
        """

    async def modify(self, kind: Kind[Any], name: str, namespace: str, change: Change, subresource: str = "") -> Json:
        """Read, change, write, again until no other writer came between. A change of nothing writes nothing."""

    async def delete(
        self, kind: Kind[Any], name: str, namespace: str = "", options: DeleteOptions | None = None
    ) -> Json:
        """Removes it, or, where it has finalizers or a grace period, marks it with a deletionTimestamp. NotFound."""


@runtime_checkable
class ByteLister(Protocol):
    """A store that keeps its objects as JSON text and hands them out unparsed: long lists become cheap."""

    async def list_bytes(self, kind: Kind[Any], namespace: str | None = None) -> ByteListing:
        """As `Store.list` without labels; the texts are the very ones that are kept."""


@runtime_checkable
class LocalStore(Store, Protocol):
    """What the stores of this machine know besides: on a cluster these are the API server's own business."""

    @property
    def resource_version(self) -> int:
        """The newest resource version given: everything up to it can be read."""

    def dependents(self, uid: str) -> Sequence[tuple[Kind[Any], ObjectKey]]:
        """Every object that has an owner reference to that uid."""
