"""pilotlight/scaling_console.py: decisions, rows and metrics of ScaledObjects, as the command line reads them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from starlette.applications import Starlette

from autoscaler.jobs.controller import ScaledJobs
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION
from core.resources.keda_jobs import SCALED_JOB
from core.stats import StatisticBus
from core.tasks import start_service
from pilotlight.cli.scaling_lines import scaled_explanation, scaled_row
from pilotlight.console import Console
from pilotlight.scaling_console import ScalingConsole
from scalers.base import World
from scalers.pools import Pools
from tests.autoscaler.triggers.world import KedaWorld, story

TOKEN = "t0ken"
DECISIONS = "/pilotlight/v1/namespaces/default/scaledobjects/orders/decisions"


async def loads() -> list[Any]:
    return []


def jobs_of(world: KedaWorld) -> ScaledJobs:
    return ScaledJobs(World(world.clock, world.store, StatisticBus(), Pools()), world.ponds.look_up)


async def get(world: KedaWorld, path: str, token: str = TOKEN, jobs: ScaledJobs | None = None) -> tuple[int, str]:
    scaling = ScalingConsole(world.objects, jobs or jobs_of(world), world.store, world.clock)
    console = Console(TOKEN, lambda *_: [], loads, dict, None, scaling)
    app = console.above(Starlette(), "1.2.3")
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


def test_pages() -> None:
    async def play(world: KedaWorld) -> None:
        assert (await get(world, DECISIONS))[0] == 404
        await world.deployment(0)
        world.ponds["a"].value = 25.0
        await world.scaled_object(cooldownPeriod=60)
        await asyncio.sleep(2.0)
        await world.follow()
        world.ponds["a"].value = 0.0
        await asyncio.sleep(400.0)
        status, body = await get(world, DECISIONS)
        assert status == 200
        answer = json.loads(body)
        assert any(item["written"] == 3 and item["replicas"] == 0 for item in answer["items"])
        lines = list(scaled_explanation(answer, 100))
        assert any("scale 0 → 3: s0-pond-a 25 / 10 = 3" in line for line in lines)
        assert lines[-1] == ("changes next when a trigger is read (every 5s at the latest) and asks for something else")
        (row,) = json.loads((await get(world, "/pilotlight/v1/scaledobjects"))[1])["items"]
        assert scaled_row(row)[:5] == ("default", "orders", "Deployment/orders", "3", "0")
        assert scaled_row(row)[5] == "s0-pond-a=0/10"
        assert 'keda_build_info{version="1.2.3"} 1' in (await get(world, "/metrics"))[1]
        assert (await get(world, DECISIONS, "wrong"))[0] == 401

    story(play)


def test_decisions_about_jobs() -> None:
    path = "/pilotlight/v1/namespaces/default/scaledjobs/orders/decisions"

    async def play(world: KedaWorld) -> None:
        jobs = jobs_of(world)
        world.ponds["a"].value = 25.0
        template = {"spec": {"containers": [{"name": "app", "image": "fake/app"}]}}
        triggers = [{"type": "pond", "metadata": {"pond": "a"}}]
        spec = {"jobTargetRef": {"template": template}, "triggers": triggers, "pollingInterval": 5}
        await world.create(SCALED_JOB, "orders", {"spec": spec})
        assert (await get(world, path, jobs=jobs))[0] == 404
        async with asyncio.TaskGroup() as group:
            running = await start_service(group, jobs.run, "scaledjobs")
            await asyncio.sleep(2.0)
            answer = json.loads((await get(world, path, jobs=jobs))[1])
            running.cancel()
        lines = list(scaled_explanation(answer, 100))
        assert lines[0].endswith("make 3 (default): 25 wait, worth 2.5 Jobs; 0 run, 0 of them pending")
        assert lines[-1].startswith("changes next when a trigger is read (every 5s at the latest)")

    story(play)


def test_metrics_of_jobs_beside_those_of_objects() -> None:
    async def play(world: KedaWorld) -> None:
        jobs = jobs_of(world)
        world.ponds["a"].value, world.ponds["b"].error = 25.0, "down"
        await world.deployment(0)
        await world.scaled_object()
        await world.authentication()
        await world.create(CLUSTER_TRIGGER_AUTHENTICATION, "everywhere", {"spec": {}})
        template = {"spec": {"containers": [{"name": "app", "image": "fake/app"}]}}
        triggers = [{"type": "pond", "metadata": {"pond": pond}} for pond in ("a", "b")]
        spec = {"jobTargetRef": {"template": template}, "triggers": triggers, "pollingInterval": 5}
        await world.create(SCALED_JOB, "batch", {"spec": spec})
        async with asyncio.TaskGroup() as group:
            running = await start_service(group, jobs.run, "scaledjobs")
            await asyncio.sleep(12.0)
            text = (await get(world, "/metrics", jobs=jobs))[1]
            running.cancel()
        of_job = 'namespace="default",scaledObject="batch",scaler="pondScaler",triggerIndex="{}",type="scaledjob"'
        assert f'keda_scaler_metrics_value{{{of_job.format(0)},metric="s0-pond-a"}} 25' in text
        assert f'keda_scaler_active{{{of_job.format(0)},metric="s0-pond-a"}} 1' in text
        assert f'keda_scaler_detail_errors_total{{{of_job.format(1)},metric="s1-pond"}} ' in text
        errors = re.search(r'^keda_scaled_job_errors_total{namespace="default",scaledJob="batch"} (\d+)$', text, re.M)
        assert errors is not None
        assert int(errors[1]) >= 1
        assert 'keda_scaled_object_errors_total{namespace="default",scaledObject="orders"} 0' in text
        assert 'keda_scaled_object_paused{namespace="default",scaledObject="batch"}' not in text
        assert (
            'keda_internal_scale_loop_latency_seconds{namespace="default",type="scaledjob",resource="batch"} ' in text
        )
        assert 'keda_trigger_registered_total{type="pond"} 3' in text
        for word in ("scaled_object", "scaled_job", "trigger_authentication", "cluster_trigger_authentication"):
            assert f'keda_resource_registered_total{{type="{word}",namespace="default"}} 1' in text

    story(play)


@pytest.mark.parametrize(
    ("label", "state"),
    [("no target", "no target"), ("paused", "paused"), ("failing", "failing"), ("cooling", "cooling")],
)
def test_states(label: str, state: str) -> None:
    async def play(world: KedaWorld) -> None:
        if label != "no target":
            await world.deployment(1)
        world.ponds["a"].value = 5.0
        await world.scaled_object(annotations={"autoscaling.keda.sh/paused": "true"} if label == "paused" else {})
        await asyncio.sleep(2.0)
        if label == "failing":
            world.ponds["a"].error = "down"
        world.ponds["a"].value = 0.0
        await asyncio.sleep(20.0)
        (row,) = json.loads((await get(world, "/pilotlight/v1/scaledobjects"))[1])["items"]
        assert row["state"] == state

    story(play)
