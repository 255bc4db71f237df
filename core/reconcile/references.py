"""Who refers to whom by name, so that a Route hears of what it names, there or not (knative.dev/pkg/tracker).

Kept in memory by the controller that follows the references; complete once it has seen each of its objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from core.reconcile.controller import Keys
from core.resources.meta import Kind, ObjectKey, key_of
from core.store.base import WatchEvent

Referent: TypeAlias = tuple[Kind[Any], ObjectKey]


class References:
    """Referrers by what they refer to."""

    def __init__(self) -> None:
        self._by_referrer: dict[ObjectKey, frozenset[Referent]] = {}
        self._by_referent: dict[Referent, set[ObjectKey]] = {}

    def set(self, referrer: ObjectKey, referents: Iterable[Referent]) -> None:
        """All that it refers to from now on; nothing: it is forgotten."""
        after = frozenset(referents)
        before = self._by_referrer.get(referrer, frozenset())
        for referent in before - after:
            self._by_referent[referent].discard(referrer)
            if not self._by_referent[referent]:
                del self._by_referent[referent]
        for referent in after - before:
            self._by_referent.setdefault(referent, set()).add(referrer)
        if after:
            self._by_referrer[referrer] = after
        else:
            self._by_referrer.pop(referrer, None)

    def of(self, kind: Kind[Any]) -> Keys:
        """For a watch of `kind`: whoever refers to the changed object."""

        def keys(event: WatchEvent) -> Iterable[ObjectKey]:
            return tuple(self._by_referent.get((kind, key_of(event.object)), ()))

        return keys
