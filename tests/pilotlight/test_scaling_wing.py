"""pilotlight/scaling_wing.py: in a whole platform, a ScaledObject scales a Deployment by the clock, and a Service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.resources.keda import SCALED_OBJECT
from core.resources.keda_jobs import SCALED_JOB
from core.resources.meta import Json, Kind
from core.resources.workloads import DEPLOYMENT
from tests.support.scenario import IMAGE, NAMESPACE, Scenario

pytestmark = pytest.mark.anyio

WINDOW = {"timezone": "Etc/UTC", "start": "15 22 * * *", "end": "30 22 * * *", "desiredReplicas": "3"}
"""The scenario's clock begins at 22:13:20."""

ENV = [{"name": name, "value": "orders"} for name in ("K_SERVICE", "K_REVISION")]
CONTAINER = {"name": "app", "image": IMAGE, "command": ["app"], "env": ENV}


async def create(scenario: Scenario, kind: Kind[Any], name: str, spec: Json) -> None:
    metadata = {"name": name, "namespace": NAMESPACE}
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    await scenario.store.create(kind, obj)


async def scale_by_the_clock(scenario: Scenario, target: Json) -> None:
    triggers = [{"type": "cron", "metadata": WINDOW}]
    spec = {"scaleTargetRef": target, "triggers": triggers, "pollingInterval": 5, "cooldownPeriod": 20}
    await create(scenario, SCALED_OBJECT, "orders", spec)


async def test_a_deployment(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path)
    template = {
        "metadata": {"labels": {"app": "orders"}},
        "spec": {"runtimeClassName": "process", "restartPolicy": "Always", "containers": [CONTAINER]},
    }
    async with scenario.running():
        selector = {"matchLabels": {"app": "orders"}}
        await create(scenario, DEPLOYMENT, "orders", {"replicas": 0, "selector": selector, "template": template})
        await scale_by_the_clock(scenario, {"name": "orders"})
        await scenario.advance(30.0)
        assert scenario.alive() == 0
        await scenario.until(lambda: scenario.alive() == 3, "the window opens", 200.0)
        await scenario.crash()
        await scenario.until(lambda: scenario.alive() == 3, "the window is open", 60.0)
        await scenario.until(lambda: scenario.alive() == 0, "the window closes", 1800.0)
        assert not scenario.books.errors


async def test_jobs(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path)
    template = {"spec": {"runtimeClassName": "process", "restartPolicy": "Never", "containers": [CONTAINER]}}
    async with scenario.running():
        triggers = [{"type": "cron", "metadata": WINDOW}]
        spec = {"jobTargetRef": {"template": template}, "triggers": triggers, "pollingInterval": 5}
        await create(scenario, SCALED_JOB, "orders", spec)
        await scenario.advance(30.0)
        assert scenario.alive() == 0
        await scenario.until(lambda: scenario.alive() == 3, "the window opens", 200.0)
        await scenario.advance(60.0)
        assert scenario.alive() == 3, "those that run are what it wants"
        assert not scenario.books.errors


async def test_a_service_has_the_greater_of_requests_and_triggers(tmp_path: Path) -> None:
    scenario = Scenario(tmp_path)
    async with scenario.running():
        await scenario.deploy("hello", {"window": "6s", "target": "1"})
        await scenario.until(lambda: scenario.alive() == 1, "the revision becomes ready")
        await scenario.until(lambda: scenario.alive() == 0, "and sleeps", 300.0)
        target = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "hello"}
        await scale_by_the_clock(scenario, target)
        await scenario.until(lambda: scenario.alive() == 3, "triggers wake it, and no request does", 400.0)
        await scenario.advance(120.0)
        assert scenario.alive() == 3
        await scenario.until(lambda: scenario.alive() == 0, "neither wants any", 1800.0)
        assert not scenario.books.errors
