"""Writes PodAutoscaler statuses behind the loop's back, so that a scale to be written never waits for one.

`loop` says which revision has something to tell; only what changed is written, and of several changes the last.
"""

from __future__ import annotations

import asyncio

import structlog

from autoscaler.scaled import Scaled
from autoscaler.spec import Metric
from autoscaler.status import Told, status_of, told
from core.clock import Clock
from core.errors import ApiError, NotFound
from core.resources.autoscaling import POD_AUTOSCALER
from core.resources.meta import Json
from core.resources.timestamps import rfc3339
from core.stats import RevisionKey
from core.store.base import Store

AFTER_S = 0.02
"""What was decided is most often that a request waits for a start: that goes first."""

log = structlog.get_logger()


class StatusWriter:
    """A queue of revisions, each at most once in it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._due: dict[RevisionKey, Scaled] = {}
        self._told: dict[RevisionKey, Told] = {}
        self._work = asyncio.Event()

    def tell(self, scaled: Scaled) -> None:
        """Something about it may have changed."""
        if scaled.state is not None and _facts(scaled) != self._told.get(scaled.key):
            self._due[scaled.key] = scaled
            self._work.set()

    def forget(self, key: RevisionKey) -> None:
        self._due.pop(key, None)
        self._told.pop(key, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self._clock.sleep(AFTER_S)
            while self._due:
                key = next(iter(self._due))
                await self._write(self._due.pop(key))

    async def _write(self, scaled: Scaled) -> None:
        facts = _facts(scaled)
        now = rfc3339(self._clock.wall())

        def change(obj: Json) -> Json:
            obj["status"] = status_of(facts, scaled.key.name, obj.get("status") or {}, now)
            return obj

        try:
            await self._store.modify(POD_AUTOSCALER, scaled.key.name, scaled.key.namespace, change, "status")
        except NotFound:
            return
        except ApiError as error:
            log.warning("autoscaler status not written", revision=str(scaled.key), error=str(error))
        else:
            self._told[scaled.key] = facts


def _facts(scaled: Scaled) -> Told:
    assert scaled.state is not None
    is_scaled = scaled.spec.metric is not Metric.NONE
    return told(scaled.state, scaled.ready, scaled.generation, scaled=is_scaled)
