"""Events that wait for a function scale it: they stand in its line as requests do, and nobody polls."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.resources.conditions import find_condition
from core.resources.eventing import BROKER, TRIGGER
from core.resources.meta import Json
from tests.support.data_path import Client
from tests.support.scenario import NAMESPACE, Scenario

EVENTS = 60
EVENT = (
    b"POST /default/main HTTP/1.1\r\nHost: broker-ingress.localhost\r\nce-specversion: 1.0\r\nce-id: %d\r\n"
    b"ce-source: /s\r\nce-type: t\r\nContent-Length: 0\r\n\r\n"
)


async def _apply(scenario: Scenario, parallelism: int) -> None:
    def metadata(name: str, **annotations: str) -> Json:
        return {"name": name, "namespace": NAMESPACE, "annotations": annotations}

    await scenario.store.create(BROKER, {"metadata": metadata("main"), "spec": {}})
    reference = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "fn", "namespace": NAMESPACE}
    marks = {"pilotlight.dev/parallelism": str(parallelism)}
    spec = {"broker": "main", "subscriber": {"ref": reference}}
    await scenario.store.create(TRIGGER, {"metadata": metadata("t", **marks), "spec": spec})
    ready = {"": ""}

    async def look() -> None:
        trigger = await scenario.store.get(TRIGGER, "t", NAMESPACE)
        ready[""] = (find_condition(trigger) or {}).get("status", "")

    for _ in range(50):
        await look()
        if ready[""] == "True":
            return
        await scenario.advance(0.1)
    raise AssertionError("the Trigger is not ready")


async def _most_replicas(folder: Path, parallelism: int) -> int:
    """Sends a burst, sees it through, and says how far the function was scaled meanwhile."""
    scenario = Scenario(folder)
    most = 0
    async with scenario.running():
        await scenario.deploy("fn", {"window": "20s"}, concurrency=1)
        await scenario.advance(60)
        assert await scenario.replicas("fn") == 0
        await _apply(scenario, parallelism)
        scenario.request_s = 3.0
        client = await Client.connect(scenario.port)
        for number in range(EVENTS):
            client.send(EVENT % number)
        assert {(await client.read()).status for _ in range(EVENTS)} == {202}
        for _ in range(240):
            await scenario.advance(0.5)
            most = max(most, await scenario.replicas("fn"))
        assert await scenario.replicas("fn") == 0
        client.close()
        assert scenario.books.events == {str(number): 1 for number in range(EVENTS)}
        assert not scenario.books.cut_off
    return most


def test_a_burst_of_events_scales_as_a_burst_of_requests_would(tmp_path: Path) -> None:
    assert asyncio.run(_most_replicas(tmp_path, 40)) >= 20


def test_no_further_than_the_trigger_delivers_at_a_time(tmp_path: Path) -> None:
    assert asyncio.run(_most_replicas(tmp_path, 4)) <= 7
