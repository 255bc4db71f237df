"""What the platform tells of ScaledObjects and ScaledJobs beside the Kubernetes API: decisions, rows, metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from autoscaler.jobs.controller import ScaledJobs
from autoscaler.triggers import metrics
from autoscaler.triggers.controller import ScaledObjects
from autoscaler.triggers.decisions import as_json
from autoscaler.triggers.facts import Facts
from autoscaler.triggers.metrics import Subject, exposition, families
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.scaled import Scaled
from core.clock import Clock
from core.errors import NotFound
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.meta import Json, Kind, ObjectKey
from core.store.base import Store
from pilotlight.top import state_of

_SUBJECTS: Final = {metrics.SCALED_OBJECT: "scaled_object", metrics.SCALED_JOB: "scaled_job"}
_AUTHENTICATIONS: Final[Mapping[str, Kind[Any]]] = {
    "trigger_authentication": TRIGGER_AUTHENTICATION,
    "cluster_trigger_authentication": CLUSTER_TRIGGER_AUTHENTICATION,
}


class ScalingConsole:
    """Pages over the loops of ScaledObjects and ScaledJobs."""

    def __init__(self, objects: ScaledObjects, jobs: ScaledJobs, store: Store, clock: Clock) -> None:
        self._store = store
        self._loop = objects.loop
        self._jobs = jobs
        self._clock = clock

    async def decisions(self, request: Request) -> Response:
        """The last decisions about one, oldest first; why there are none; what time it is."""
        key = ObjectKey(request.path_params["namespace"], request.path_params["name"])
        scaled = self._loop.get(key)
        if scaled is None:
            raise NotFound(f"namespace {key.namespace} has no scaledobject named {key.name!r} that was looked at")
        items = [as_json(decision) for decision in scaled.history]
        interval_s = scaled.plan.spec.polling_interval_s
        return _json(
            {
                "items": items,
                "problem": scaled.plan.problem,
                "now": self._clock.wall(),
                "pollingIntervalSeconds": interval_s,
            }
        )

    async def job_decisions(self, request: Request) -> Response:
        """The same of a ScaledJob."""
        key = ObjectKey(request.path_params["namespace"], request.path_params["name"])
        followed = self._jobs.get(key)
        if followed is None:
            raise NotFound(f"namespace {key.namespace} has no scaledjob named {key.name!r} that was looked at")
        return _json(
            {
                "items": list(followed.history),
                "problem": "",
                "now": self._clock.wall(),
                "pollingIntervalSeconds": followed.polling_s,
            }
        )

    async def objects(self, request: Request) -> Response:
        """One row for each, by name."""
        return _json({"items": self.rows()})

    def rows(self) -> list[Json]:
        rows = [self._row(scaled) for scaled in self._loop]
        return sorted(rows, key=lambda row: (row["namespace"], row["name"]))

    async def metrics(self, version: str) -> str:
        """Prometheus text."""
        subjects = list(self._subjects())
        return exposition(families(subjects, await self._registered(subjects), version, self._clock.monotonic()))

    def _subjects(self) -> Iterator[Subject]:
        for scaled in self._loop:
            sources = self._loop.poller.sources(scaled.owner)
            yield Subject(metrics.SCALED_OBJECT, scaled.key, sources, scaled.late_s, scaled.paused)
        for key, followed in self._jobs:
            yield Subject(metrics.SCALED_JOB, key, self._jobs.sources(key), followed.late_s)

    async def _registered(self, subjects: Sequence[Subject]) -> Mapping[tuple[str, str], int]:
        """Objects by KEDA's word for their kind, and namespace; those without one count as of `default`, as there."""
        found = Counter((_SUBJECTS[subject.type], subject.key.namespace) for subject in subjects)
        for word, kind in _AUTHENTICATIONS.items():
            listing = await self._store.list(kind)
            found.update((word, obj["metadata"].get("namespace") or "default") for obj in listing.items)
        return found

    def _row(self, scaled: Scaled) -> Json:
        facts = self._loop.facts(scaled.key)
        assert facts is not None
        desired = scaled.outcome.desired if scaled.outcome else scaled.has
        return {
            "namespace": scaled.key.namespace,
            "name": scaled.key.name,
            "target": f"{scaled.plan.target.kind}/{scaled.plan.target.name}",
            "ready": scaled.ready,
            "desired": desired,
            "triggers": [_trigger(sample) for sample in self._loop.poller.samples(scaled.owner)],
            "state": state(scaled, facts, desired),
        }


def state(scaled: Scaled, facts: Facts, desired: int | None) -> str:
    """One word for a person."""
    if facts.problem:
        return "no target"
    if facts.paused:
        return "paused"
    if facts.fallback:
        return "fallback"
    if facts.failing:
        return "failing"
    if facts.cooling:
        return "cooling"
    return state_of(scaled.ready, desired or 0)


def _trigger(sample: Sample) -> Json:
    return {
        "metric": sample.metric,
        "value": None if sample.reading is None else sample.reading.value,
        "target": None if sample.target is None else sample.target.value,
        "error": sample.error,
    }


def _json(document: Json) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
