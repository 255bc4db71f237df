"""The node with the fake runtime: a Pod's whole life, its failures, pauses and ends.

What is tested through it: `deploy.node`, `deploy.pods`, `deploy.containers`, `deploy.planning`, `deploy.reports`,
`deploy.hooks`, `deploy.pausing`, `deploy.groundwork`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.errors import NotFound
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.pilotlight import TIMELINE
from core.resources.pods import POD
from core.stats import ContainerUsage, InstanceKey, NoLoads
from core.store.base import DeleteOptions
from core.store.memory import MemoryStore
from deploy.runtimes.base import ContainerPlan, Tell
from tests.support.clock import FakeClock, settle
from tests.support.pods import (
    KINDS,
    NodeWorld,
    condition,
    container,
    is_ready,
    node_world,
    phase,
    pod,
    state,
    waiting_reason,
)
from tests.support.runtime import FakeContainer, FakeProcess, FakeSandbox, answer_200
from tests.support.runtime_contract import http_status


def run(tmp_path: Path, test: Callable[[NodeWorld], Awaitable[None]], **world: object) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), node_world(tmp_path, **world) as made:
            await test(made)

    asyncio.run(main())


class Loads(NoLoads):
    """Requests in flight, and who was asked to drain."""

    def __init__(self) -> None:
        self.busy = asyncio.Event()
        self.drained: list[str] = []
        self.flying = 0

    def in_flight(self, instance: InstanceKey) -> int:
        return self.flying

    async def drain(self, instance: InstanceKey, grace_s: float) -> bool:
        self.drained.append(instance.name)
        await self.busy.wait()
        return True


def test_a_pod_gets_ready_in_two_writes_with_address_and_timeline(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        before = world.store.resource_version
        name = await world.create(pod())
        ready = await world.until(name, is_ready)
        assert world.store.resource_version - before == 3, "one to create it, two by the node"
        annotations = ready["metadata"]["annotations"]
        host, _, port = annotations["pilotlight.dev/address"].rpartition(":")
        assert await http_status(world.runtime.sandboxes[name].address) == 200
        assert (host, int(port)) == ("127.0.0.1", world.runtime.sandboxes[name].address.port)
        times = dict(part.split("=") for part in annotations["pilotlight.dev/timeline"].split(","))
        assert float(times["created"]) <= float(times["started"]) <= float(times["ready"])
        status = ready["status"]
        assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", "127.0.0.1", "127.0.0.1")
        assert {each["type"] for each in status["conditions"] if each["status"] == "True"} == {
            "PodReadyToStartContainers", "PodScheduled", "Initialized", "ContainersReady", "Ready",
        }  # fmt: skip
        (main,) = status["containerStatuses"]
        assert (main["ready"], main["started"], main["restartCount"]) == (True, True, 0)
        assert ready["spec"]["nodeName"]
        assert await world.until_said(name, "Started") == "Started container main"
        said = dict(await world.events(name))
        assert said["Scheduled"].startswith(f"Successfully assigned default/{name} to ")
        assert said["Created"] == "Created container: main"

    run(tmp_path, test)


def test_the_environment_is_what_the_documents_say(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        await world.store.create(CONFIG_MAP, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"A": "1"}})
        env = [{"name": "GREETING", "value": "$(K_REVISION) on $(PORT), $$(A), $(NOPE)"}]
        name = await world.create(
            pod(container(env=env, envFrom=[{"configMapRef": {"name": "cfg"}}], args=["--port=$(PORT)"]))
        )
        await world.until(name, is_ready)
        process = world.runtime.sandboxes[name].containers["main"].process
        port = world.runtime.sandboxes[name].address.port
        assert process.env["GREETING"] == f"rev on {port}, $(A), $(NOPE)"
        assert process.plan.args == (f"--port={port}",)
        assert process.env["A"] == "1"
        assert process.env["K_SERVICE"] == "svc"

    run(tmp_path, test)


def test_a_missing_secret_is_named_and_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.groundwork.REPLAN_S", 0.02)

    async def test(world: NodeWorld) -> None:
        env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
        name = await world.create(pod(container(env=env)))
        stuck = await world.until(name, lambda obj: waiting_reason(obj) == "CreateContainerConfigError")
        assert state(stuck)["waiting"]["message"] == 'secret "db" not found'
        assert stuck["status"]["phase"] == "Pending"
        data = {"password": "aHVudGVyMg=="}
        await world.store.create(SECRET, {"metadata": {"name": "db", "namespace": "default"}, "data": data})
        await world.until(name, is_ready)
        assert world.runtime.sandboxes[name].containers["main"].process.env["PASSWORD"] == "hunter2"

    run(tmp_path, test)


def test_volumes_are_files(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        await world.store.create(
            CONFIG_MAP, {"metadata": {"name": "cfg", "namespace": "default"}, "data": {"a": "1", "b": "2"}}
        )
        volumes = [
            {"name": "cfg", "configMap": {"name": "cfg", "items": [{"key": "a", "path": "deep/a", "mode": 0o600}]}},
            {"name": "tmp", "emptyDir": {}},
        ]
        mounts = [
            {"name": "cfg", "mountPath": "/etc/cfg"},
            {"name": "cfg", "mountPath": "/etc/one", "subPath": "deep/a"},
            {"name": "tmp", "mountPath": "/scratch"},
        ]
        name = await world.create(pod(container(volumeMounts=mounts), volumes=volumes))
        await world.until(name, is_ready)
        seen = {mount.path: mount for mount in world.runtime.sandboxes[name].plan.containers[0].mounts}
        assert (seen["/etc/cfg"].source / "deep/a").read_text() == "1"
        assert (seen["/etc/cfg"].source / "deep/a").stat().st_mode & 0o777 == 0o600
        assert seen["/etc/one"].source.read_text() == "1"
        assert seen["/etc/cfg"].read_only
        assert seen["/scratch"].source.is_dir()
        assert not seen["/scratch"].read_only
        await world.store.delete(POD, name, "default")
        await world.until_gone(name)
        assert not seen["/etc/cfg"].source.exists(), "the last user took it along"

    run(tmp_path, test)


def test_init_containers_run_in_order_and_a_sidecar_stays(tmp_path: Path) -> None:
    async def quick(process: FakeProcess) -> int:
        return 0

    async def test(world: NodeWorld) -> None:
        world.runtime.programs["quick"] = quick
        init = [
            container("quick", "first", None),
            container("fake/deaf", "side", None, restartPolicy="Always"),
            container("quick", "second", None),
        ]
        name = await world.create(pod(initContainers=init))
        ready = await world.until(name, is_ready)
        assert [started for _, started in world.runtime.starts] == ["first", "side", "second", "main"]
        statuses = {each["name"]: each for each in ready["status"]["initContainerStatuses"]}
        assert statuses["first"]["state"]["terminated"]["reason"] == "Completed"
        assert "running" in statuses["side"]["state"]

    run(tmp_path, test)


def test_a_failed_init_container_is_tried_again_or_fails_the_pod(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        init = [container("fake/fail", "init", None)]
        never = await world.create(pod(initContainers=init, restartPolicy="Never"))
        failed = await world.until(never, lambda obj: phase(obj) == "Failed")
        assert failed["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
        always = await world.create(pod(initContainers=init, revision="other"))
        await world.until(always, lambda obj: _init_waiting(obj) == "CrashLoopBackOff")
        assert condition(await world.get(always), "Initialized")["reason"] == "ContainersNotInitialized"
        assert state(await world.get(always))["waiting"]["reason"] == "PodInitializing"

    def _init_waiting(obj: dict) -> str:
        statuses = (obj.get("status") or {}).get("initContainerStatuses") or [{"state": {}}]
        return statuses[0]["state"].get("waiting", {}).get("reason", "")

    run(tmp_path, test)


def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container("test/nowhere")))
        stuck = await world.until(name, lambda obj: waiting_reason(obj) == "ImagePullBackOff")
        assert "no such image" in state(stuck)["waiting"]["message"]
        assert await world.until_said(name, "Failed") == 'Error: no such image: "test/nowhere"'

    run(tmp_path, test)


def test_what_a_start_waits_for_is_seen_while_it_waits(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        world.runtime.steps = [f"Collecting package{number}" for number in range(30)]
        world.runtime.installed.clear()
        name = await world.create(pod())
        waiting = await world.until(name, lambda obj: "package29" in state(obj).get("waiting", {}).get("message", ""))
        assert (waiting_reason(waiting), phase(waiting)) == ("ContainerCreating", "Pending")
        await world.until_said(name, "Installing")
        world.runtime.installed.set()
        await world.until(name, is_ready)
        await world.until_said(name, "Started")
        reasons = [reason for reason, _ in await world.events(name)]
        assert (reasons.count("Installing"), reasons.count("Pulled")) == (20, 0)

    run(tmp_path, test)


def test_no_runtime_says_so(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(runtimeClassName="container"))
        stuck = await world.until(name, lambda obj: waiting_reason(obj) == "CreateContainerError")
        assert "no runtime 'container' on this machine; there are: fake" in state(stuck)["waiting"]["message"]
        world.runtime.unavailable = "the engine is away"
        other = await world.create(pod())
        stuck = await world.until(other, lambda obj: waiting_reason(obj) == "CreateContainerError")
        assert state(stuck)["waiting"]["message"] == "the engine is away"

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("policy", "left", "code", "message"),
    [
        ("File", "", 3, None),
        ("File", "gone fishing", 3, "gone fishing"),
        ("File", "done: 7 rows", 0, "done: 7 rows"),
        ("FallbackToLogsOnError", "", 3, "no luck\n"),
        ("FallbackToLogsOnError", "gone fishing", 3, "gone fishing"),
        ("FallbackToLogsOnError", "", 0, None),
    ],
)
def test_the_message_of_a_container_that_has_ended(
    tmp_path: Path, policy: str, left: str, code: int, message: str | None
) -> None:
    async def end(process: FakeProcess) -> int:
        process.write(b"no luck\n")
        process.last_words = left
        return code

    async def test(world: NodeWorld) -> None:
        world.runtime.programs["fake/end"] = end
        document = container("fake/end", terminationMessagePolicy=policy, terminationMessagePath="/dev/last")
        name = await world.create(pod(document, revision=None, restartPolicy="Never"))
        ended = await world.until(name, lambda obj: phase(obj) in ("Succeeded", "Failed"))
        assert state(ended)["terminated"].get("message") == message
        assert world.runtime.sandboxes[name].plan.containers[0].last_words_path == "/dev/last"

    run(tmp_path, test)


def test_a_crash_loop_backs_off_and_a_new_pod_of_the_revision_waits_its_share(tmp_path: Path) -> None:
    clock = FakeClock()

    async def test(world: NodeWorld) -> None:
        async def until(name: str, count: int) -> None:
            async with asyncio.timeout(10):
                while len([started for started in world.runtime.starts if started[0] == name]) < count:
                    await asyncio.sleep(0.001)
            await settle()

        name = await world.create(pod(container("fake/fail")))
        await until(name, 2)  # the first restart is at once
        await clock.advance(1)
        crashed = await world.get(name)
        assert waiting_reason(crashed) == "CrashLoopBackOff"
        (main,) = crashed["status"]["containerStatuses"]
        assert main["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main pod=")
        assert main["state"]["waiting"]["message"].endswith("it exited with code 3: no luck")
        assert main["lastState"]["terminated"]["exitCode"] == 3
        assert main["restartCount"] == 1
        assert crashed["status"]["phase"] == "Running"
        left_s = float(crashed["metadata"]["annotations"]["pilotlight.dev/retry-at"]) - clock.wall()
        assert 8.5 < left_s <= 9.0
        await clock.advance(8)
        assert len(world.runtime.starts) == 2
        await clock.advance(2)
        await until(name, 3)
        await clock.advance(1)
        assert "back-off 20s" in state(await world.get(name))["waiting"]["message"]

        other = await world.create(pod(container("fake/fail")))
        await clock.advance(1)
        assert waiting_reason(await world.get(other)) == "CrashLoopBackOff"
        assert other not in {started for started, _ in world.runtime.starts}
        stranger = await world.create(pod(container(), revision="healthy"))
        await clock.advance(1)
        assert is_ready(await world.get(stranger))

    run(tmp_path, test, clock=clock)


def test_one_that_exits_while_serving_is_not_ready_at_once_and_restarted(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod())
        await world.until(name, is_ready)
        seen: list[bool] = []
        async with world.store.watch(POD, since=world.store.resource_version) as changes:
            world.runtime.sandboxes[name].containers["main"].crash(1)
            async for event in changes:
                seen.append(is_ready(event.object))
                if seen[-1]:
                    again = event.object
                    break
        assert not seen[0]
        (main,) = again["status"]["containerStatuses"]
        assert main["restartCount"] == 1
        assert main["lastState"]["terminated"]["exitCode"] == 1

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("policy", "image", "expected", "reason"),
    [
        ("Never", "fake/fail", "Failed", "Error"),
        ("Never", "quick", "Succeeded", "Completed"),
        ("OnFailure", "quick", "Succeeded", "Completed"),
    ],
)
def test_a_bare_pod_that_ends(tmp_path: Path, policy: str, image: str, expected: str, reason: str) -> None:
    async def quick(process: FakeProcess) -> int:
        process.write(b"done\n")
        return 0

    async def test(world: NodeWorld) -> None:
        world.runtime.programs["quick"] = quick
        name = await world.create(pod(container(image, port=None), revision=None, restartPolicy=policy))
        ended = await world.until(name, lambda obj: phase(obj) == expected)
        assert state(ended)["terminated"]["reason"] == reason
        await world.store.delete(POD, name, "default")
        await world.until_gone(name)

    run(tmp_path, test)


def test_liveness_restarts_and_says_so(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 1}
        name = await world.create(pod(container(livenessProbe=probe)))
        await world.until(name, is_ready)
        world.runtime.sandboxes[name].containers["main"].on_execute = lambda command: (1, "not well")
        again = await world.until(name, lambda obj: obj["status"]["containerStatuses"][0]["restartCount"] == 1)
        assert again["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 0
        assert await world.until_said(name, "Unhealthy") == "Liveness probe failed: not well"
        assert await world.until_said(name, "Killing") == "Container main failed liveness probe, will be restarted"

    run(tmp_path, test)


def test_startup_holds_the_other_probes(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        startup = {"exec": {"command": ["startup"]}, "periodSeconds": 1, "failureThreshold": 100}
        liveness = {"exec": {"command": ["liveness"]}, "periodSeconds": 1}
        world.runtime.on_execute = lambda command: (1, "")
        name = await world.create(pod(container(startupProbe=startup, livenessProbe=liveness)))
        await world.until(name, lambda obj: "running" in state(obj))
        waiting = await world.get(name)
        assert waiting["status"]["containerStatuses"][0]["started"] is False
        assert not is_ready(waiting)
        main = world.runtime.sandboxes[name].containers["main"]
        main.on_execute = lambda command: (0, "")
        await world.until(name, is_ready)
        assert ("liveness",) in main.executed
        first = main.executed.index(("liveness",))
        assert ("startup",) not in main.executed[first:]

    run(tmp_path, test)


def test_one_that_never_listens_is_told_which_port(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container("fake/deaf", readinessProbe={"tcpSocket": {"port": 0}})))
        message = await world.until_said(name, "Unhealthy")
        port = world.runtime.sandboxes[name].address.port
        assert message == f"Readiness probe failed: dial tcp 127.0.0.1:{port}: connect: connection refused"
        told = await world.until(name, lambda obj: "PORT=" in condition(obj, "Ready").get("message", ""))
        assert f"PORT={port}" in condition(told, "Ready")["message"]
        assert condition(told, "Ready")["reason"] == "ContainersNotReady"

    run(tmp_path, test)


def test_one_that_names_a_port_and_no_probe_is_ready_soon_as_on_a_cluster(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container("fake/deaf")))
        await world.until(name, is_ready)

    run(tmp_path, test)


def test_one_in_a_network_of_its_own_is_told_the_port_there(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        world.runtime.inside = 8080
        name = await world.create(pod(container("fake/deaf", readinessProbe={"tcpSocket": {"port": 0}})))
        told = await world.until(name, lambda obj: "8080" in condition(obj, "Ready").get("message", ""))
        message = condition(told, "Ready")["message"]
        assert message.endswith("(port 8080 of the container: it must listen there on 0.0.0.0, not on 127.0.0.1 alone)")

    run(tmp_path, test)


def test_a_deleted_pod_is_drained_before_it_is_stopped(tmp_path: Path) -> None:
    loads = Loads()

    async def test(world: NodeWorld) -> None:
        hook = {"preStop": {"exec": {"command": ["bye"]}}}
        name = await world.create(pod(container(lifecycle=hook), terminationGracePeriodSeconds=20))
        await world.until(name, is_ready)
        sandbox = world.runtime.sandboxes[name]
        main = sandbox.containers["main"]
        await world.store.delete(POD, name, "default")
        await asyncio.sleep(0.1)
        assert loads.drained == [name]
        assert not main.process.terminated.is_set(), "a request is in it still"
        loads.busy.set()
        await world.until_gone(name)
        assert main.executed == [("bye",)]
        assert main.process.terminated.is_set()
        assert sandbox.removed
        assert [each.name for each in (tmp_path / "pods").iterdir() if not each.name.startswith(".spare")] == []

    run(tmp_path, test, loads=loads)


def test_a_forced_deletion_does_not_wait(tmp_path: Path) -> None:
    loads = Loads()

    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container("fake/stubborn")))
        await world.until(name, is_ready)
        main = world.runtime.sandboxes[name].containers["main"]
        await world.store.delete(POD, name, "default")  # it drains for ever
        await asyncio.sleep(0.05)
        await world.store.delete(POD, name, "default", DeleteOptions(grace_period_s=0))
        with pytest.raises(NotFound):
            await world.get(name)
        async with asyncio.timeout(20):
            assert (await main.wait()).code == 137

    run(tmp_path, test, loads=loads)


def test_a_stubborn_one_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container("fake/stubborn"), terminationGracePeriodSeconds=1))
        await world.until(name, is_ready)
        await world.store.delete(POD, name, "default")
        await world.until_gone(name)

    run(tmp_path, test)


def test_deleting_one_that_cannot_start(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        for spec in ({"runtimeClassName": "none"}, {}):
            name = await world.create(pod(container("test/nowhere"), **spec))
            await world.until(name, lambda obj: bool(waiting_reason(obj)))
            await world.store.delete(POD, name, "default")
            await world.until_gone(name)

    run(tmp_path, test)


def test_pause_waits_for_the_last_request_and_resume_is_ready_at_once(tmp_path: Path) -> None:
    loads = Loads()
    loads.busy.set()

    async def test(world: NodeWorld) -> None:
        name = await world.create(pod())
        await world.until(name, is_ready)
        sandbox = world.runtime.sandboxes[name]
        loads.flying = 1
        await world.annotate(name, paused="true")
        paused = await world.until(name, lambda obj: not is_ready(obj))
        assert condition(paused, "Ready")["reason"] == "Paused"
        await asyncio.sleep(0.15)
        assert not sandbox.paused
        loads.flying = 0
        async with asyncio.timeout(20):
            while not sandbox.paused:
                await asyncio.sleep(0.005)
        await world.annotate(name, paused=None)
        thawed = await world.until(name, is_ready)
        assert not sandbox.paused
        assert thawed["metadata"]["annotations"][TIMELINE] != paused["metadata"]["annotations"][TIMELINE]
        assert await http_status(sandbox.address) == 200
        await world.annotate(name, paused="true")
        async with asyncio.timeout(20):
            while not sandbox.paused:
                await asyncio.sleep(0.005)
        await world.store.delete(POD, name, "default")
        await world.until_gone(name)

    run(tmp_path, test, loads=loads)


def test_one_deleted_while_it_waits_to_be_frozen_is_drained(tmp_path: Path) -> None:
    loads = Loads()
    loads.flying = 1

    async def test(world: NodeWorld) -> None:
        name = await world.create(pod())
        await world.until(name, is_ready)
        await world.annotate(name, paused="true")
        await world.until(name, lambda obj: not is_ready(obj))
        await world.store.delete(POD, name, "default")
        await world.until_said(name, "Killing")
        process = world.runtime.sandboxes[name].containers["main"].process
        assert loads.drained == [name]
        assert not process.terminated.is_set(), "a request is in it"
        loads.busy.set()
        await world.until_gone(name)
        assert process.terminated.is_set()

    run(tmp_path, test, loads=loads)


def test_one_that_cannot_be_frozen_stays_ready_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.pausing.RETRY_S", 0.05)

    async def test(world: NodeWorld) -> None:
        name = await world.create(pod())
        await world.until(name, is_ready)
        sandbox = world.runtime.sandboxes[name]
        sandbox.refuses_to_freeze = "the engine is away"
        await world.annotate(name, paused="true")
        assert await world.until_said(name, "FailedPause") == "Error: the engine is away"
        await world.until(name, is_ready)
        sandbox.refuses_to_freeze = ""
        await world.until(name, lambda obj: condition(obj, "Ready").get("reason") == "Paused")
        async with asyncio.timeout(20):
            while not sandbox.paused:
                await asyncio.sleep(0.005)

    run(tmp_path, test)


def test_a_bare_pod_outlives_the_platform_and_an_ended_one_stays_ended(tmp_path: Path) -> None:
    async def quick(process: FakeProcess) -> int:
        return 0

    async def main() -> None:
        store = MemoryStore(KINDS, FakeClock())
        async with node_world(tmp_path, store=store) as world:
            world.runtime.programs["quick"] = quick
            stays = await world.create(pod(revision=None))
            ended = await world.create(pod(container("quick", port=None), revision=None, restartPolicy="Never"))
            await world.until(stays, is_ready)
            await world.until(ended, lambda obj: phase(obj) == "Succeeded")
        async with node_world(tmp_path, store=store) as world:
            again = await world.until(stays, lambda obj: obj["status"]["containerStatuses"][0]["restartCount"] == 1)
            assert world.runtime.starts == [(stays, "main")]
            assert (await world.get(ended))["status"]["phase"] == "Succeeded"
            assert again["status"]["phase"] == "Running"

    asyncio.run(main())


def test_a_loop_that_fails_leaves_nothing_and_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.node.RETRY_S", 0.1)
    start, failed = FakeSandbox.start, []

    async def start_late(sandbox: FakeSandbox, plan: ContainerPlan, tell: Tell) -> FakeContainer:
        started = await start(sandbox, plan, tell)
        if plan.name == "unlucky" and not failed:
            failed.append((sandbox, started))
            raise OSError(errno.ENOSPC, "No space left on device")
        return started

    monkeypatch.setattr(FakeSandbox, "start", start_late)

    async def test(world: NodeWorld) -> None:
        name = await world.create(pod(container(name="unlucky")))
        healthy = await world.create(pod())
        await world.until(healthy, is_ready)
        await world.until(name, is_ready)
        ((sandbox, process),) = failed
        assert sandbox.removed
        assert (await process.wait()).signal == 9
        assert world.runtime.sandboxes[name] is not sandbox

    run(tmp_path, test)


def test_many_pods_at_once(tmp_path: Path) -> None:
    async def slow(process: FakeProcess) -> int:
        await asyncio.sleep(0.02)
        async with process.serving(answer_200):
            await process.terminated.wait()
        return 0

    async def test(world: NodeWorld) -> None:
        world.runtime.programs["slow"] = slow
        names = [await world.create(pod(container("slow"))) for _ in range(50)]
        for name in names:
            await world.until(name, is_ready)
        for name in names:
            await world.store.delete(POD, name, "default")
        for name in names:
            await world.until_gone(name)

    run(tmp_path, test)


def test_what_the_containers_of_a_pod_use_is_told_together_or_not_at_all(tmp_path: Path) -> None:
    async def test(world: NodeWorld) -> None:
        made = await world.get(await world.create(pod(container(), container("fake/deaf", "side", None))))
        name, uid = made["metadata"]["name"], made["metadata"]["uid"]
        await world.until(name, is_ready)
        instance, stranger = InstanceKey("default", name, uid), InstanceKey("default", "other", "1")
        containers = world.runtime.sandboxes[name].containers
        containers["main"].process.cpu_s, containers["side"].process.memory_bytes = 1.5, 7
        expected = [ContainerUsage("main", 1.5, 1 << 20), ContainerUsage("side", 0.0, 7)]
        assert await world.node.usage_of([instance, stranger]) == {instance: expected}
        containers["side"].crash(1)
        assert instance not in await world.node.usage_of([instance]), "its loop has not heard of the end yet"
        await world.until(name, lambda pod: pod["status"]["containerStatuses"][1]["restartCount"] == 1)
        expected[1] = ContainerUsage("side", 0.0, 1 << 20)  # it begins again
        assert await world.node.usage_of([instance]) == {instance: expected}

    run(tmp_path, test)
