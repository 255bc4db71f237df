"""From zero and back, under fire: no request is lost where instances come and go."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.data_path import Client
from tests.support.platform import Platform
from tests.support.user import QUICK_SLEEP, SERVING, User, condition, make_service, quick_server

SEED = 20260802
AROUND_S = 0.05
"""How far from the moment of the stop requests are sent, at most."""


def test_a_request_that_arrives_while_the_only_instance_is_being_stopped(platform: Platform, user: User) -> None:
    """Ten services go to zero by themselves; each gets its request at the very moment, give or take."""
    names = [f"edge-{number}" for number in range(10)]
    for name in names:
        user.create(make_service(name, quick_server(), annotations=QUICK_SLEEP))
    for name in names:
        user.until_ready(name)
        assert user.call(name).status == 200
    chance = random.Random(SEED)
    with ThreadPoolExecutor(len(names)) as pool:
        answers = []
        left = dict.fromkeys(names, 2)
        for event in user.watch("api/v1/namespaces/default/pods", timeout_s=60):
            pod = event["object"]
            name = pod["metadata"].get("labels", {}).get("serving.knative.dev/service", "")
            if "deletionTimestamp" in pod["metadata"] and event["type"] == "MODIFIED" and left.get(name):
                left[name] -= 1
                answers.append(pool.submit(_call_after, user, name, chance.uniform(0, AROUND_S)))
            if not any(left.values()):
                break
        assert [answer.result() for answer in answers] == [200] * len(answers)
        assert len(answers) == 2 * len(names)
    user.delete(*names)


def _call_after(user: User, name: str, seconds: float) -> int:
    time.sleep(seconds)  # the moment is the fault
    return user.call(name).status


def test_instances_taken_away_under_load_cost_no_request(user: User) -> None:
    name = user.deploy(make_service("hammered", quick_server(), annotations={"min-scale": "2"}))
    user.until_running(name, 2)
    ended = threading.Event()

    def call() -> list[int]:
        statuses = []
        while not ended.is_set():
            statuses.append(user.call(name).status)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(call) for _ in range(8)]
        try:
            for _ in range(12):
                victim = user.pods(name)[0]["metadata"]["name"]
                assert user.ask("DELETE", f"api/v1/namespaces/default/pods/{victim}").status in (200, 202, 404)
                user.until("it is gone", lambda: victim not in _names(user, name))  # noqa: B023
        finally:
            ended.set()
        statuses = [status for caller in callers for status in caller.result()]
    assert set(statuses) == {200}
    user.delete(name)


def _names(user: User, service: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in user.pods(service)}


def test_a_hundred_sleepers_wake_at_once(user: User) -> None:
    path = "api/v1/namespaces/knative-serving/configmaps/config-autoscaler"
    user.patch(path, {"data": {"allow-zero-initial-scale": "true"}})
    names = [f"many-{number}" for number in range(100)]
    for name in names:
        user.create(make_service(name, quick_server(), annotations={"initial-scale": "0", **QUICK_SLEEP}))
    for name in names:
        user.until_ready(name, timeout_s=60)
    assert not [pod for pod in user.pods() if pod["metadata"]["name"].startswith("many-")]

    async def call(name: str) -> int:
        client = await Client.connect(user.port)
        client.get(host=f"{name}.default.localhost")
        status = (await client.read()).status
        client.close()
        return status

    async def main() -> list[int]:
        return await asyncio.gather(*map(call, names))

    assert asyncio.run(main()) == [200] * len(names)
    user.delete(*names)
    user.until("nothing is left", lambda: not user.pods())


def test_a_burst_from_zero_has_no_error(user: User) -> None:
    """0 → 500 requests a second on 50 connections."""
    name = user.deploy(make_service("burst", quick_server(), annotations=QUICK_SLEEP, containerConcurrency=10))
    user.until_asleep(name)

    async def caller(seconds: float, every_s: float) -> list[int]:
        client, loop = await Client.connect(user.port), asyncio.get_running_loop()
        statuses, due = [], loop.time()
        for _ in range(round(seconds / every_s)):
            client.get(host=f"{name}.default.localhost")
            statuses.append((await client.read()).status)
            due += every_s
            await asyncio.sleep(due - loop.time())
        client.close()
        return statuses

    async def main() -> list[int]:
        return [status for part in await asyncio.gather(*(caller(3.0, 0.1) for _ in range(50))) for status in part]

    statuses = asyncio.run(main())
    assert len(statuses) == 1500
    assert set(statuses) == {200}
    user.delete(name)


def test_a_paused_instance_is_thawed_by_the_next_request(user: User) -> None:
    name = user.deploy(make_service("frozen", annotations={**QUICK_SLEEP, "pilotlight.dev/idle-action": "pause"}))
    pid = user.call(name).text

    def paused() -> bool:
        marks = [pod["metadata"].get("annotations", {}) for pod in user.pods(name)]
        states = [condition(pod).get("reason") for pod in user.pods(name)]
        return [mark.get("pilotlight.dev/paused") for mark in marks] == ["true"] and states == ["Paused"]

    user.until("it is frozen", paused, timeout_s=30)
    assert user.call(name).text == pid, "the same process went on"
    user.delete(name)
    user.until("nothing is left", lambda: not user.pods(name))


def test_config_autoscaler_is_edited_live(user: User) -> None:
    """max-scale-limit and the like count for the next revision, stable-window for those that run."""
    path = "api/v1/namespaces/knative-serving/configmaps/config-autoscaler"
    refused = user.ask("PATCH", path, {"data": {"stable-window": "1s"}}, "application/merge-patch+json")
    assert refused.status in (400, 422)
    assert "stable-window" in refused.text
    name = user.deploy(make_service("edited"))
    assert user.call(name).status == 200
    user.patch(path, {"data": {"stable-window": "6s"}})
    user.until_asleep(name, timeout_s=20)
    user.patch(path, {"data": {"stable-window": None}})
    user.delete(name)


KINDS = (
    f"{SERVING}/services", f"{SERVING}/configurations", f"{SERVING}/revisions", f"{SERVING}/routes",
    "apis/apps/v1/namespaces/default/deployments", "api/v1/namespaces/default/pods",
    "api/v1/namespaces/default/services", "api/v1/namespaces/default/endpoints",
    "apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    "apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/default/podautoscalers",
)  # fmt: skip


def test_a_service_that_is_deleted_leaves_nothing(user: User) -> None:
    name = user.deploy(make_service("leaves", annotations={"min-scale": "2"}))
    user.patch(f"{SERVING}/services/{name}", {"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}})
    user.until("a second revision", lambda: user.service(name)["status"]["latestReadyRevisionName"] == f"{name}-00002")
    pids = {user.call(name).text for _ in range(20)}

    def left() -> list[str]:
        found = [each for kind in KINDS for each in user.items(kind)]
        return [each["metadata"]["name"] for each in found if name in json.dumps(each["metadata"])]

    assert left()
    user.delete(name)
    user.until("nothing is left of it", lambda: not left())
    for pid in pids:
        with pytest.raises(FileNotFoundError):
            open(f"/proc/{pid}/stat").close()
    assert user.call(name).status == 404
