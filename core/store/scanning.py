"""Lists that are looked at once: object by object, not all of them parsed at a time.

A thousand parsed objects are tens of megabytes, and a start lists every kind for every controller. Whoever keeps a list
takes `Store.list`; whoever only walks along it takes this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from core.resources.meta import Json, Kind
from core.store.base import ByteLister, Store


async def scan(store: Store, kind: Kind[Any], namespace: str | None = None) -> tuple[Iterator[Json], int]:
    """All objects, or those of one namespace, as of the resource version that comes with them."""
    if isinstance(store, ByteLister):
        texts = await store.list_bytes(kind, namespace)
        return map(orjson.loads, texts.items), texts.resource_version
    listing = await store.list(kind, namespace)
    return iter(listing.items), listing.resource_version
