"""What the platform tells of ScaledObjects and ScaledJobs beside the Kubernetes API: decisions, rows, metrics."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from autoscaler.jobs.controller import ScaledJobs
from autoscaler.triggers.controller import ScaledObjects
from autoscaler.triggers.decisions import as_json
from autoscaler.triggers.facts import Facts
from autoscaler.triggers.metrics import exposition, families
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.scaled import Scaled
from core.clock import Clock
from core.errors import NotFound
from core.resources.meta import Json, ObjectKey
from pilotlight.top import state_of


class ScalingConsole:
    """Pages over the loops of ScaledObjects and ScaledJobs."""

    def __init__(self, objects: ScaledObjects, jobs: ScaledJobs, clock: Clock) -> None:
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

    def metrics(self, version: str) -> str:
        """Prometheus text."""
        found = ((scaled, self._loop.poller.sources(scaled.owner)) for scaled in self._loop)
        return exposition(families(found, version, self._clock.monotonic()))

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
