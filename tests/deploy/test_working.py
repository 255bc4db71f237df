"""The node asks instances for the work they have in hand: over HTTP, in a mounted file, and by a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.resources.meta import Json
from core.resources.pilotlight import IN_FLIGHT
from core.resources.pods import POD
from core.stats import InstanceKey, NoLoads
from deploy.working import Working
from tests.support.clock import FakeClock
from tests.support.pods import NodeWorld, container, is_ready, node_world, pod
from tests.support.runtime import FakeProcess


def run(tmp_path: Path, test: Callable[[NodeWorld], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), node_world(tmp_path) as made:
            await test(made)

    asyncio.run(main())


def said(obj: Json) -> str | None:
    found: str | None = (obj["metadata"].get("annotations") or {}).get(IN_FLIGHT)
    return found


def saying(annotation: str, value: str, **fields: object) -> Json:
    made = pod(container(**fields), terminationGracePeriodSeconds=40)
    made["metadata"]["annotations"] = {f"pilotlight.dev/{annotation}": value}
    return made


async def goes(world: NodeWorld, name: str, finish: Callable[[], None]) -> None:
    """It is told to go, and does once it has finished, not before."""
    process = world.runtime.sandboxes[name].containers["main"].process
    await world.store.delete(POD, name, "default")
    await asyncio.sleep(0.2)
    assert not process.terminated.is_set(), "it has work in hand"
    finish()
    await world.until_gone(name)
    assert process.terminated.is_set()


def test_over_http(tmp_path: Path) -> None:
    answers = ["2"]

    async def talk(process: FakeProcess) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            body = answers[-1].encode() if head.startswith(b"GET /busy ") else b""
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

        async with process.serving(answer):
            await process.terminated.wait()
        return 0

    async def test(world: NodeWorld) -> None:
        world.runtime.programs["test/talk"] = talk
        name = await world.create(saying("in-flight-path", "/busy", image="test/talk"))
        await world.until(name, lambda obj: is_ready(obj) and said(obj) == "2")
        answers.append("who knows")
        await world.until(name, lambda obj: said(obj) == "unknown")
        await goes(world, name, lambda: answers.append("0"))

    run(tmp_path, test)


def test_in_a_mounted_file(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        made = saying("in-flight-file", "/work/busy", volumeMounts=[{"name": "work", "mountPath": "/work"}])
        made["spec"]["volumes"] = [{"name": "work", "emptyDir": {}}]
        name = await world.create(made)
        await world.until(name, lambda obj: is_ready(obj) and said(obj) == "unknown")
        main = world.runtime.sandboxes[name].containers["main"]
        (file,) = (mount.source / "busy" for mount in main.process.plan.mounts if mount.path == "/work")
        file.write_text("1\n")
        await world.until(name, lambda obj: said(obj) == "1")
        await goes(world, name, lambda: file.write_text("0") and None)
        assert main.executed == [], "no command is needed for that"

    run(tmp_path, test)


def test_in_a_file_of_the_container(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(saying("in-flight-file", "/busy"))
        await world.until(name, is_ready)
        main = world.runtime.sandboxes[name].containers["main"]
        main.on_execute = lambda command: (0, "1\n")
        await goes(world, name, lambda: setattr(main, "on_execute", lambda command: (0, "0\n")))
        assert set(main.executed) == {("cat", "/busy")}

    run(tmp_path, test)


def test_one_that_never_finishes_is_told_to_stop_after_half_of_its_grace(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        made = saying("in-flight-file", "/busy")
        made["spec"]["terminationGracePeriodSeconds"] = 2
        name = await world.create(made)
        await world.until(name, is_ready)
        process = world.runtime.sandboxes[name].containers["main"].process
        begun = asyncio.get_running_loop().time()
        await world.store.delete(POD, name, "default")
        async with asyncio.timeout(10):
            await process.terminated.wait()
        assert asyncio.get_running_loop().time() - begun >= 1.0
        await world.until_gone(name)

    run(tmp_path, test)


def test_a_question_that_is_not_understood_is_told(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(saying("in-flight-path", "busy"))
        assert "in-flight-path] is 'busy'; a path such as" in await world.until_said(name, "NotHonored")
        ready = await world.until(name, is_ready)
        assert said(ready) is None

    run(tmp_path, test)


@pytest.mark.parametrize(("grace_s", "for_requests_s"), [(300.0, 290.0), (30.0, 27.0), (1.0, 0.9)])
def test_requests_that_never_end_leave_time_to_close_them_in_order(grace_s: float, for_requests_s: float) -> None:
    class Endless(NoLoads):
        waited_s = 0.0

        async def drain(self, instance: InstanceKey, grace_s: float) -> bool:
            self.waited_s = grace_s
            return False

    loads = Endless()
    asyncio.run(Working(None, lambda: None, FakeClock()).end(InstanceKey("default", "a", "u"), loads, grace_s))
    assert loads.waited_s == pytest.approx(for_requests_s)
