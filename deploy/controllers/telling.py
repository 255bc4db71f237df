"""Which Pods of a Revision have something to say, and since when each of them runs in vain.

A Pod that gets on well shows in its Deployment. One that fails, waits for an installation, or runs without being ready
has more to say: the Revision controller is woken for these, and asks here for them. Time is the monotonic clock's, so
that nobody's setting of the other one makes a Pod late.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.clock import Clock
from core.resources.meta import Json, ObjectKey, key_of
from core.resources.pod_failures import Failure, failure_of, overdue, unready_of
from core.resources.serving_labels import REVISION_LABEL
from core.store.base import EventType, WatchEvent
from deploy.revision_status import progress_of


class TellingPods:
    """By revision, as the watch shows them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_revision: dict[ObjectKey, set[ObjectKey]] = {}
        self._unready: dict[ObjectKey, tuple[float, str]] = {}  # by Pod: since when, and why

    def of(self, revision: ObjectKey) -> list[ObjectKey]:
        return sorted(self._by_revision.get(revision, ()), key=str)

    def watch(self, event: WatchEvent) -> Iterable[ObjectKey]:
        """`Watched.keys`: the revision, where its Pod has something to say."""
        pod = key_of(event.object)
        name = (event.object["metadata"].get("labels") or {}).get(REVISION_LABEL)
        if not name:
            return ()
        revision, gone = ObjectKey(pod.namespace, name), event.type is EventType.DELETED
        unready = "" if gone else unready_of(event.object)
        if unready:
            since, _ = self._unready.get(pod, (self._clock.monotonic(), ""))
            self._unready[pod] = since, unready
        else:
            self._unready.pop(pod, None)
        if not gone and (unready or _has_to_say(event.object)):
            self._by_revision.setdefault(revision, set()).add(pod)
            return (revision,)
        if revision in self._by_revision:
            self._by_revision[revision].discard(pod)
            if not self._by_revision[revision]:
                del self._by_revision[revision]
        return ()

    def late(self, revision: ObjectKey, ready_s: float) -> tuple[Failure | None, float | None]:
        """The failure of a Pod that has run for `ready_s` and is not ready; else the seconds until one will have."""
        waits = [self._unready[pod] for pod in self.of(revision) if pod in self._unready]
        if not waits:
            return None, None
        since, unready = min(waits)
        left_s = since + ready_s - self._clock.monotonic()
        return (None, left_s) if left_s > 0 else (overdue(ready_s, unready), None)


def _has_to_say(pod: Json) -> bool:
    return failure_of(pod) is not None or bool(progress_of(pod))
