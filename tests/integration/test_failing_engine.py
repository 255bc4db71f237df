"""A real engine that goes away and comes back under a whole platform, and an image that is gone when it is wanted."""

from __future__ import annotations

import asyncio
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import PodmanService, build_image, connected, podman_service
from tests.support.platform import running_platform
from tests.support.user import QUICK_SLEEP, User, condition, hurry, make_service, quick_server

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
START_S = 60.0  # a busy engine takes its time
IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff")


@pytest.fixture(scope="module")
def engine() -> Iterator[PodmanService]:
    """One of our own, that may be stopped. Its containers outlive it, as they do an upgrade of the engine."""
    service = podman_service()
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def image(engine: PodmanService) -> Iterator[str]:
    """That no other test uses: it will be taken away."""
    tag = f"localhost/pilotlight-test-faults:{uuid.uuid4().hex[:8]}"

    async def build() -> None:
        client = await connected(engine.url)
        await build_image(client, tag, f"ENV UNLIKE={tag}")
        await client.close()

    asyncio.run(build())
    yield tag
    remove(tag)  # its containers are gone: the platform goes first


@pytest.fixture(scope="module")
def user(engine: PodmanService, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.url)
        with running_platform(tmp_path_factory.mktemp("platform")) as platform:
            user = User(platform)
            hurry(user)
            yield user


def podman(*arguments: str) -> None:
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"


def remove(image: str) -> None:
    """With every container made of it. Podman refuses while somebody else is removing one of them."""
    deadline = time.monotonic() + START_S
    while True:
        done = subprocess.run(["podman", "rmi", "--force", image], capture_output=True, text=True, check=False)
        if done.returncode == 0 or f"{image}: image not known" in done.stderr:
            return
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.2)


def contained(name: str, image: str, **marks: str) -> dict[str, Any]:
    service = make_service(name, annotations=marks)
    spec = service["spec"]["template"]["spec"]
    spec["containers"] = [{"image": image}]
    del spec["runtimeClassName"]
    return service


def ready(user: User, service: str) -> dict[str, Any]:
    return condition(user.revision(f"{service}-00001"))


def told(user: User, service: str) -> tuple[str, str, str]:
    said = ready(user, service)
    return said["status"], said.get("reason", ""), said.get("message", "")


def test_an_engine_goes_away_and_comes_back(user: User, engine: PodmanService, image: str) -> None:
    user.create(contained("runs", image, **{"min-scale": "1"}))
    user.create(contained("sleeps", image, **QUICK_SLEEP))
    user.create(make_service("elsewhere", quick_server(), annotations=QUICK_SLEEP))
    for name in ("runs", "sleeps", "elsewhere"):
        user.until_ready(name, START_S)
    pid = user.call("runs").text
    for name in ("sleeps", "elsewhere"):
        user.until_asleep(name)

    engine.stop()
    refused = user.call("sleeps", timeout_s=START_S)
    assert (refused.status, refused.headers["content-type"]) == (503, "application/problem+json")
    assert int(refused.headers["retry-after"]) > 0
    assert user.call("runs").text == pid, "what runs goes on"
    assert user.call("elsewhere").status == 200, "other runtimes do not care"
    why = refused.json["reason"], refused.json["message"]
    user.until("it is not ready for that reason", lambda: told(user, "sleeps") == ("False", *why))
    user.create(contained("new", image))
    user.until("a new one says what is missing", lambda: ready_reason(user, "new") == "RuntimeUnavailable")

    engine.start()
    user.until("the sleeper wakes", lambda: user.call("sleeps").status == 200, START_S)
    for name in ("sleeps", "new", "runs", "elsewhere"):
        user.until_ready(name, START_S)
    assert user.call("runs").text == pid, "it was not taken for a leftover"
    assert user.call("new").status == 200
    user.delete("runs", "sleeps", "elsewhere", "new")
    user.until("all is gone", lambda: not user.pods(), START_S)


def ready_reason(user: User, service: str) -> str:
    revisions = user.items("apis/serving.knative.dev/v1/namespaces/default/revisions")
    return next((condition(r).get("reason", "") for r in revisions if r["metadata"]["name"] == f"{service}-00001"), "")


def test_an_image_that_is_gone_when_it_is_wanted(user: User, image: str, tmp_path: Path) -> None:
    archive = str(tmp_path / "image.tar")
    podman("save", "--quiet", "--format=oci-archive", "--output", archive, image)
    remove(image)
    podman("load", "--quiet", "--input", archive)  # with the digest that it will have when it is loaded again
    name = user.deploy(contained("bare", image, **QUICK_SLEEP))
    user.until_asleep(name)

    remove(image)  # the container made ahead goes with it
    refused = user.call(name, timeout_s=START_S)
    assert (refused.status, refused.json["reason"] in IMAGE_REASONS) == (503, True), refused.text
    user.until("it is not ready", lambda: ready(user, name)["status"] == "False")
    assert ready(user, name)["reason"] in IMAGE_REASONS
    assert condition(user.until_failed(name), "ConfigurationsReady")["reason"] == "RevisionFailed"

    podman("load", "--quiet", "--input", archive)
    user.until("it has recovered", lambda: user.call(name).status == 200, START_S)
    user.until_ready(name)
    user.delete(name)
