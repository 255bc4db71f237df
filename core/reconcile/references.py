"""Who refers to whom by name, so that a Route hears of what it names, there or not (knative.dev/pkg/tracker).

Kept in memory by the controller that follows the references; complete once it has seen each of its objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from core.multimap import Multimap
from core.reconcile.controller import Keys
from core.resources.meta import Kind, ObjectKey, key_of
from core.store.base import WatchEvent

Referent: TypeAlias = tuple[Kind[Any], ObjectKey]


class References:
    """Referrers by what they refer to."""

    def __init__(self) -> None:
        self._by_referrer: dict[ObjectKey, tuple[Referent, ...]] = {}
        self._by_referent: Multimap[Referent, ObjectKey] = Multimap()

    def set(self, referrer: ObjectKey, referents: Iterable[Referent]) -> None:
        """All that it refers to from now on; nothing: it is forgotten."""
        before, after = set(self._by_referrer.get(referrer, ())), set(referents)
        if before == after:
            return  # what is kept stays the same objects in both directions
        for referent in before - after:
            self._by_referent.discard(referent, referrer)
        for referent in after - before:
            self._by_referent.add(referent, referrer)
        if after:
            self._by_referrer[referrer] = tuple(after)
        else:
            self._by_referrer.pop(referrer, None)

    def of(self, kind: Kind[Any]) -> Keys:
        """For a watch of `kind`: whoever refers to the changed object."""

        def keys(event: WatchEvent) -> Iterable[ObjectKey]:
            return self._by_referent.of((kind, key_of(event.object)))

        return keys
