"""Whatever the moment at which the platform dies, after its next start the world is the same.

Each case lets a number of writes of the controllers through, refuses the rest (the last one is done or not, unknown to
its writer), throws away all that is kept in memory, and starts again. The outcome must be that of an undisturbed run.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Iterator

import orjson
import pytest
import structlog

from core.resources.core_services import CORE_SERVICE
from core.resources.kinds import KINDS
from core.resources.networking import INGRESS
from core.resources.serving import CONFIGURATION, DOMAIN_MAPPING, REVISION, ROUTE, SERVICE
from core.resources.workloads import DEPLOYMENT
from tests.support.serving import Platform, running

COMPARED = (SERVICE, CONFIGURATION, REVISION, ROUTE, INGRESS, DOMAIN_MAPPING, CORE_SERVICE, DEPLOYMENT)
_VOLATILE = re.compile(
    rb'"(uid|resourceVersion|creationTimestamp|lastTransitionTime|lastUpdateTime|generation|observedGeneration'
    rb"|serving.knative.dev/routingStateModified|serving.knative.dev/deployment-hash"
    rb'|deployment.kubernetes.io/revision)":("[^"]*"|\d+),?'
)


async def act(platform: Platform) -> None:
    """What the user does; whenever the platform is found dead, it is started again first."""
    await platform.service("v1")
    await revive(platform)
    mapping = {"ref": {"kind": "Service", "apiVersion": "serving.knative.dev/v1", "name": "hello"}}
    await platform.apply(DOMAIN_MAPPING, {"metadata": {"name": "www.example.com"}, "spec": mapping})
    await revive(platform)
    traffic = [{"revisionName": "hello-00001", "percent": 80, "tag": "old"}, {"percent": 20, "latestRevision": True}]
    await platform.service("v2", traffic=traffic)
    await revive(platform)


async def revive(platform: Platform) -> None:
    if platform.store.writes_left is not None and platform.store.writes_left <= 0:
        await platform.restart()
        await platform.settle(120)


async def picture(platform: Platform) -> dict[str, object]:
    """Every object without what differs from run to run."""
    objects = {}
    uids = {}
    for kind in KINDS:
        for obj in (await platform.memory.list(kind)).items:
            uids[obj["metadata"]["uid"].encode()] = f"{kind.kind}/{obj['metadata']['name']}".encode()
    for kind in COMPARED:
        for obj in (await platform.memory.list(kind)).items:
            text = orjson.dumps(obj)
            for uid, name in uids.items():
                text = text.replace(uid, name)
            objects[f"{kind.kind}/{obj['metadata']['name']}"] = _VOLATILE.sub(b"", text).replace(b",}", b"}")
    return {name: orjson.loads(text) for name, text in objects.items()}


async def undisturbed() -> dict[str, object]:
    async with running() as platform:
        await act(platform)
        await platform.restart()
        await platform.settle(120)
        return await picture(platform)


async def crashed(writes: int, last_is_done: bool) -> dict[str, object]:
    async with running() as platform:
        platform.store.writes_left = writes
        platform.store.last_is_done = last_is_done
        await act(platform)
        await platform.restart()
        await platform.settle(120)
        return await picture(platform)


CASES = random.Random(7).sample([(writes, done) for writes in range(1, 60) for done in (False, True)], 40)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """A refused write is logged with all it knows; hundreds are no help."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def expected() -> dict[str, object]:
    return asyncio.run(undisturbed())


@pytest.mark.parametrize(("writes", "last_is_done"), CASES)
def test_a_crash_between_any_two_writes(writes: int, last_is_done: bool, expected: dict[str, object]) -> None:
    assert asyncio.run(crashed(writes, last_is_done)) == expected


def test_the_picture_shows_a_difference(expected: dict[str, object]) -> None:
    async def other() -> dict[str, object]:
        async with running() as platform:
            await platform.service("v1")
            return await picture(platform)

    assert asyncio.run(other()) != expected
    assert "Deployment/hello-00002-deployment" in expected
