"""What triggers refer to, resolved: authentications and variables put in, and whom a change of these concerns.

Used by the controllers of ScaledObjects and of ScaledJobs. What cannot be resolved is a trouble of its trigger alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from autoscaler.triggers.masking import masked
from core.errors import TemporaryError
from core.multimap import Multimap
from core.reconcile.controller import Keys, Watched
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.meta import Json, Kind, ObjectKey, key_of
from core.store.base import WatchEvent
from scalers.auth.lookup import Referent, is_another
from scalers.authentication import NotYetResolved, Unresolved, resolve
from scalers.base import World
from scalers.readings import Trigger

RETRY_S: Final = 5.0
"""After something outside did not give what a trigger is authenticated by."""
SOONEST_S: Final = 0.1
REFERRED: Final[tuple[Kind[Any], ...]] = (SECRET, CONFIG_MAP, TRIGGER_AUTHENTICATION, CLUSTER_TRIGGER_AUTHENTICATION)


Authenticate = Callable[[int], Json | None]
"""The authenticationRef of a trigger, by its index."""


@dataclass(frozen=True, slots=True)
class Found:
    """Triggers with all that they refer to; what is wrong with which, by index; when to look again, in seconds."""

    triggers: Sequence[Trigger] = ()
    troubles: Mapping[int, str] = field(default_factory=dict)
    again_s: float | None = None


class Referring:
    """The triggers of all owners of one kind. `changed` hears of each owner whose triggers are to be resolved again."""

    def __init__(self, world: World, changed: Callable[[ObjectKey], None] = lambda key: None) -> None:
        self._world = world
        self._changed = changed
        self._owners: Multimap[Referent, ObjectKey] = Multimap()
        self._referents: dict[ObjectKey, frozenset[Referent]] = {}

    def watches(self) -> Sequence[Watched]:
        """For the controller of the owners: whoever refers to what has changed."""
        return [Watched(kind, self._owners_of(kind), changes_only=True) for kind in REFERRED]

    async def resolve(self, key: ObjectKey, triggers: Iterable[Trigger], of: Authenticate, pods: Json | None) -> Found:
        """Those of one owner; what they referred to before is forgotten."""
        resolved: list[Trigger] = []
        troubles: dict[int, str] = {}
        referents: set[Referent] = set()
        times: list[float] = []
        now = self._world.clock.monotonic()
        for trigger in triggers:
            try:
                found = await resolve(self._world, trigger, of(trigger.index), pods)
            except (Unresolved, NotYetResolved) as error:
                referents |= error.referents
                resolved.append(trigger)
                troubles[trigger.index] = masked(str(error), trigger)
                if isinstance(error, TemporaryError):
                    times.append(now + (error.retry_after_s or RETRY_S))
                continue
            referents |= found.referents
            if found.expires_at is not None:
                times.append(found.expires_at)
            resolved.append(replace(trigger, auth=found.auth, env=found.env, pod_identity=found.pod_identity))
        self._refer(key, frozenset(referents))
        return Found(resolved, troubles, max(SOONEST_S, min(times) - now) if times else None)

    def forget(self, key: ObjectKey) -> None:
        self._refer(key, frozenset())

    def _owners_of(self, kind: Kind[Any]) -> Keys:
        def keys(event: WatchEvent) -> Iterable[ObjectKey]:
            owners = self._owners.of(Referent(kind, key_of(event.object))) if is_another(event) else ()
            for key in owners:
                self._changed(key)
            return owners

        return keys

    def _refer(self, key: ObjectKey, referents: frozenset[Referent]) -> None:
        before = self._referents.pop(key, frozenset())
        for referent in before - referents:
            self._owners.discard(referent, key)
        for referent in referents - before:
            self._owners.add(referent, key)
        if referents:
            self._referents[key] = referents
