"""Runtime `container` with a real engine: the contract, and what is its own.

Covers deploy.runtimes.container, deploy.runtimes.container_rooms, deploy.runtimes.container_sandbox,
deploy.runtimes.container_images, deploy.runtimes.container_watch, deploy.runtimes.holder and core.clients.engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.clients.engine import Engine
from core.clock import SystemClock
from deploy.runtimes.base import Address, ContainerPlan, Identity, Limits, Mount, PodPlan, Runtime, Sandbox, StartError
from deploy.runtimes.container import ContainerRuntime
from deploy.runtimes.container_config import CONTAINER_LABEL, PLATFORM_LABEL
from deploy.runtimes.ports import Ports
from tests.support.engine import IMAGE, PodmanService, build_image, build_test_image, connected, looked, podman_service
from tests.support.runtime_contract import Behavior, RuntimeContract, http_status, log_lines, pod_plan, run_runtime

pytestmark = pytest.mark.engine
PLATFORM = f"test-{os.getpid()}"
_url = ""


@pytest.fixture(scope="module", autouse=True)
def engine_url() -> Iterator[str]:
    """An engine with the test image in it."""
    global _url
    service: PodmanService | None = None
    if not (url := os.environ.get("DOCKER_HOST", "")):
        service = podman_service()
        service.start()
        url = service.url
    _url = url

    async def build() -> None:
        engine = await connected(url)
        await build_test_image(engine)
        await engine.close()

    asyncio.run(build())
    yield url
    if service is not None:
        service.stop()


@contextlib.asynccontextmanager
async def container_runtime(folder: Path, url: str = "") -> AsyncIterator[ContainerRuntime]:
    engine = Engine({"DOCKER_HOST": url or _url})
    runtime = ContainerRuntime(PLATFORM, engine, folder / "containers", Ports(), SystemClock())
    async with run_runtime(runtime):
        await looked(runtime)
        yield runtime


def probe(*words: str, **fields: object) -> ContainerPlan:
    plan = ContainerPlan(name="main", image=IMAGE, command=("/probe", *words), pull_policy="IfNotPresent")
    return replace(plan, **fields)


def server(mode: str = "", **fields: object) -> ContainerPlan:
    return replace(ContainerPlan(name="main", image=IMAGE, env={"SERVER_MODE": mode}, serving=True), **fields)


BEHAVIORS = {
    Behavior.SERVES: server(),
    Behavior.HANGS: server("hang"),
    Behavior.DEAF: server("deaf"),
    Behavior.STUBBORN: server("stubborn"),
    Behavior.FAILS: probe("fail"),
    Behavior.TALKS: probe("talk"),
    Behavior.SHOWS_ENV: probe("greet"),
    Behavior.MISSING: probe(command=("/nowhere",)),
}


class TestContainerRuntime(RuntimeContract):
    def running(self, tmp_path: Path) -> AbstractAsyncContextManager[Runtime]:
        return container_runtime(tmp_path)

    def container(self, behavior: Behavior) -> ContainerPlan | None:
        return BEHAVIORS[behavior]


def run(tmp_path: Path, test: Callable[[ContainerRuntime], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), container_runtime(tmp_path) as runtime:
            await test(runtime)

    asyncio.run(main())


async def said(runtime: ContainerRuntime, folder: Path, container: ContainerPlan, **fields: object) -> list[str]:
    """Everything a container wrote until it ended."""
    plan = replace(pod_plan(folder, container), **fields)
    sandbox = await runtime.sandbox(plan)
    try:
        await (await sandbox.start(container)).wait()
        pieces = [text + ("\n" if flag == "F" else "") for _, flag, text in log_lines(plan)]
        return "".join(pieces).splitlines()
    finally:
        await sandbox.remove()


def test_the_runtime_contract(tmp_path: Path) -> None:
    """Knative's, word by word: what a container finds when it starts."""

    async def test(runtime: ContainerRuntime) -> None:
        async def words(*asked: str, **fields: object) -> list[str]:
            return await said(runtime, tmp_path, probe(*asked, **fields))

        assert await words("stdin") == ["0 0"], "stdin is at its end, nothing is a terminal"
        assert await words("fds") == ["0 1 2 "]
        assert await words("cwd", working_dir="/proc") == ["/proc"]
        assert await words("id", identity=Identity(user=1234, group=5678)) == ["1234 5678"]
        assert await words("args", "a b", "$HOME") == ["a b", "$HOME"], "no shell in between"
        assert await words("stat", "/tmp") == ["1777"]
        assert await words("write", "/tmp/x") == ["written"]
        assert await words("write", "/proc/sys/x") != ["written"]
        assert await words("stat", "/dev/log") == ["missing"]
        assert await words("cat", "/sys/fs/cgroup/x") != []
        seen = {line.partition("=")[0]: line.partition("=")[2] for line in await words("env", env={"K_SERVICE": "s"})}
        assert (seen["K_SERVICE"], seen["COLOR"]) == ("s", "green"), "the Pod's and the image's"
        assert not set(seen) & {"DOCKER_HOST", "VIRTUAL_ENV", "PYTHONPATH"}, "none of the platform's"

    run(tmp_path, test)


def test_the_security_context(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        read_only = probe("write", "/x", identity=Identity(read_only_root=True))
        assert await said(runtime, tmp_path, read_only) == ["Read-only file system"]
        scratch = probe("write", "/tmp/x", identity=Identity(read_only_root=True))
        assert await said(runtime, tmp_path, scratch) == ["written"], "the contract's /tmp is writable nevertheless"
        bare = probe("cat", "/proc/self/status", identity=Identity(drop_capabilities=("ALL",)))
        assert "CapEff:\t0000000000000000" in await said(runtime, tmp_path, bare)
        granted = Identity(drop_capabilities=("ALL",), add_capabilities=("NET_BIND_SERVICE",))
        one = await said(runtime, tmp_path, probe("cat", "/proc/self/status", identity=granted))
        assert "CapEff:\t0000000000000400" in one
        status = probe("cat", "/proc/self/status", identity=Identity(allow_privilege_escalation=False))
        assert "NoNewPrivs:\t1" in await said(runtime, tmp_path, status)
        assert "Seccomp:\t2" in await said(runtime, tmp_path, probe("cat", "/proc/self/status"))
        with pytest.raises(StartError, match="image will run as root") as failure:
            await said(runtime, tmp_path, probe("id", identity=Identity(non_root=True)))
        assert failure.value.reason == "CreateContainerConfigError"

    run(tmp_path, test)


def test_mounts_are_seen_and_read_only(tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "key").write_text("value\n")

    async def test(runtime: ContainerRuntime) -> None:
        mounts = (Mount(folder, "/etc/secret"),)
        assert await said(runtime, tmp_path, probe("cat", "/etc/secret/key", mounts=mounts)) == ["value"]
        assert await said(runtime, tmp_path, probe("write", "/etc/secret/x", mounts=mounts)) == [
            "Read-only file system"
        ]
        writable = (Mount(folder, "/data", read_only=False),)
        assert await said(runtime, tmp_path, probe("write", "/data/x", mounts=writable)) == ["written"]
        assert (folder / "x").exists()

    run(tmp_path, test)


def test_a_pod_that_mounts_a_tmp_of_its_own_takes_it_from_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir(mode=0o777)

    async def test(runtime: ContainerRuntime) -> None:
        own = (Mount(folder, "/tmp", read_only=False),)
        assert await said(runtime, tmp_path, probe("write", "/tmp/x", mounts=own)) == ["written"]
        assert await said(runtime, tmp_path, probe("stat", "/tmp")) == ["1777"]

    run(tmp_path, test)


def test_last_words_are_what_it_wrote_where_its_pod_says(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        for path, user in (("/dev/termination-log", None), ("/last/words", 1234)):
            identity = Identity(user=user, read_only_root=True)
            plan = pod_plan(tmp_path, probe("overwrite", path, identity=identity, last_words_path=path))
            sandbox = await runtime.sandbox(plan)
            exit_ = await (await sandbox.start(plan.containers[0])).wait()
            assert (exit_.code, exit_.last_words) == (0, "bye\n"), path
            await sandbox.remove()
            assert not list((tmp_path / "containers" / "last-words").glob("*"))

    run(tmp_path, test)


def test_limits_reach_the_cgroup_and_the_kernel_kills_at_the_memory_limit(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, probe("eat", limits=Limits(memory_bytes=64 << 20, cpu_millis=500)))
        sandbox = await runtime.sandbox(plan)
        if sandbox.warnings:
            assert "not enforced" in sandbox.warnings[0]
            await sandbox.remove()
            pytest.skip(f"the engine has no cgroup for it: {sandbox.warnings}")
        exit_ = await (await sandbox.start(plan.containers[0])).wait()
        assert (exit_.code, exit_.oom) == (137, True)
        await sandbox.remove()

    run(tmp_path, test)


def test_names_of_services_resolve_also_those_that_came_later(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        runtime.set_names(["hello.default.svc.cluster.local"])
        plan = pod_plan(tmp_path, server())
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        _, before = await container.execute(("/probe", "cat", "/etc/hosts"), 5)
        assert f"{runtime.gateway} hello.default.svc.cluster.local" in before
        assert plan.instance.name in before, "its own name"
        runtime.set_names(["later.default.svc.cluster.local"])
        _, after = await container.execute(("/probe", "cat", "/etc/hosts"), 5)
        assert "later.default" in after
        assert "hello.default" not in after
        await sandbox.remove()
        own = await said(runtime, tmp_path, probe("cat", "/etc/hosts"), hosts={"db": "10.1.2.3"})
        assert "10.1.2.3 db" in own

    run(tmp_path, test)


def test_containers_of_a_pod_share_one_network_whichever_is_started_again(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        init = probe("talk", name="first", init=True)
        main, side = server(), probe("get", "8080", name="side")
        plan = pod_plan(tmp_path, main, init, side)
        sandbox = await runtime.sandbox(plan)
        assert (await (await sandbox.start(init)).wait()).code == 0
        container = await sandbox.start(main)
        assert await http_status(sandbox.address) == 200
        for _ in range(2):
            await (await sandbox.start(side)).wait()
            assert (plan.log_dir / "side.log").read_text().splitlines()[-1].endswith("F HTTP/1.1 200")
            await container.stop(5)
            container = await sandbox.start(main)
            assert await http_status(sandbox.address) == 200
        await sandbox.remove()

    run(tmp_path, test)


@pytest.mark.parametrize("held", [False, True], ids=["alone", "in a network that is held"])
def test_every_port_that_a_pod_declares_is_reached(tmp_path: Path, held: bool) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        main = server(serving=False, env={"SERVER_MODE": "", "PORT": "8080"})  # one that has its port from elsewhere
        others = [probe("talk", name="first", init=True)] if held else []
        plan = replace(pod_plan(tmp_path, main, *others, port=9000), other_ports=(8080,))
        sandbox = await runtime.sandbox(plan)
        address = sandbox.address
        assert address is not None
        ((inside, outside),) = address.doors.items()
        assert (inside, address.inside) == (8080, 9000)
        assert outside != address.port
        await sandbox.start(main)
        assert await http_status(Address("127.0.0.1", outside)) == 200
        await sandbox.remove()

    run(tmp_path, test)


def test_a_restart_begins_with_the_images_files(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, probe("write", "/once"))
        sandbox = await runtime.sandbox(plan)
        codes = [(await (await sandbox.start(plan.containers[0])).wait()).code for _ in range(2)]
        assert codes == [0, 0]
        await sandbox.remove()

    run(tmp_path, test)


def test_exec(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, server())
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        assert await container.execute(("/probe", "args", "x"), 5) == (0, "x\n")
        assert (await container.execute(("/probe", "fail"), 5))[0] == 3
        assert (await container.execute(("/nowhere",), 5))[0] != 0
        code, words = await container.execute(("/probe", "sleep"), 0.5)
        assert (code, "timed out" in words) == (124, True)
        await sandbox.remove()

    run(tmp_path, test)


def test_a_container_that_closes_its_output_is_still_followed(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, probe("quiet", "2"))
        sandbox = await runtime.sandbox(plan)
        assert (await (await sandbox.start(plan.containers[0])).wait()).code == 7
        await sandbox.remove()

    run(tmp_path, test)


MISSING = [
    ("localhost:1/none:1", "IfNotPresent", "ErrImagePull"),
    ("localhost:1/none:1", "Always", "ErrImagePull"),
    ("localhost/pilotlight-none:1", "Never", "ErrImageNeverPull"),
    ("Not An Image", "IfNotPresent", "InvalidImageName"),
]


@pytest.mark.parametrize(("image", "policy", "reason"), MISSING)
def test_an_image_that_is_not_there_says_so(tmp_path: Path, image: str, policy: str, reason: str) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        container = server(image=image, pull_policy=policy)
        for ask in (runtime.resolve(container), runtime.prepare(pod_plan(tmp_path, container), 1)):
            with pytest.raises(StartError) as failure:
                await ask
            assert failure.value.reason == reason
            assert image in failure.value.message

    run(tmp_path, test)


def test_an_image_is_resolved_to_what_never_changes(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        digest = await runtime.resolve(server())
        assert "sha256:" in digest
        plan = pod_plan(tmp_path, server(image=digest))
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        assert await http_status(sandbox.address) == 200
        assert container.image_id == digest
        await sandbox.remove()

    run(tmp_path, test)


def test_the_images_user_and_stop_signal_count(tmp_path: Path) -> None:
    tag = "localhost/pilotlight-test-user:1"

    async def test(runtime: ContainerRuntime) -> None:
        await build_image(runtime.engine, tag, "USER 4321", "WORKDIR /work", "STOPSIGNAL SIGINT")
        assert await said(runtime, tmp_path, probe("id", image=tag, identity=Identity(non_root=True))) == ["4321 0"]
        assert await said(runtime, tmp_path, probe("cwd", image=tag)) == ["/work"]
        plan = pod_plan(tmp_path, server(image=tag))
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        await http_status(sandbox.address)
        exit_ = await container.stop(0.5)
        assert exit_.code in (130, 137), "the server ends by SIGTERM with 0; it was sent SIGINT"
        await sandbox.remove()

    run(tmp_path, test)


def test_spares_are_made_ahead_and_only_started(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, server())
        await runtime.prepare(plan, 1)
        ours = await containers(runtime)
        assert len(ours) == 1
        sandbox = await runtime.sandbox(pod_plan(tmp_path, server()))
        container = await sandbox.start(plan.containers[0])
        assert container.id.endswith(ours[0])
        assert await http_status(sandbox.address) == 200
        assert await containers(runtime) == ours, "no spare while one runs"
        await sandbox.remove()
        await until(lambda: count(runtime, 1))
        assert await containers(runtime) != ours, "a new one for the next first request"
        await runtime.prepare(plan, 0)
        assert await containers(runtime) == []
        sandbox = await runtime.sandbox(pod_plan(tmp_path, server()))
        await sandbox.remove()
        assert await containers(runtime) == []

    run(tmp_path, test)


def test_one_made_ahead_and_taken_away_by_another_hand_is_made_anew(tmp_path: Path) -> None:
    """`docker system prune` removes what has not been started."""

    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, server())
        await runtime.prepare(plan, 1)
        (spare,) = await containers(runtime)
        await runtime.engine.remove(spare)
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        assert not container.id.endswith(spare)
        assert await http_status(sandbox.address) == 200
        await sandbox.remove()

    run(tmp_path, test)


def test_what_belongs_to_one_pod_is_not_made_ahead(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, server())
        own = replace(plan.containers[0], mounts=(Mount(plan.scratch_dir / "empty", "/data", read_only=False),))
        await runtime.prepare(replace(plan, containers=(own,)), 1)
        await runtime.prepare(replace(plan, hosts={"db": "10.0.0.1"}), 1)
        assert await containers(runtime) == []

    run(tmp_path, test)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await is_so():
            await asyncio.sleep(0.05)


async def count(runtime: ContainerRuntime, number: int) -> bool:
    return len(await containers(runtime)) == number


async def containers(runtime: ContainerRuntime) -> list[str]:
    """All of the platform's but the anchor of its bridge."""
    ids = await runtime.engine.containers(f"{PLATFORM_LABEL}={PLATFORM}")
    return [id for id in ids if id in set(await runtime.engine.containers(CONTAINER_LABEL))]


def test_leftovers_are_removed_and_what_is_not_ours_is_not_touched(tmp_path: Path) -> None:
    async def leave(engine: Engine) -> tuple[str, str]:
        def config(platform: str) -> dict[str, object]:
            return {"Image": IMAGE, "Env": ["PORT=1"], "Labels": {PLATFORM_LABEL: platform}}

        ours = await engine.create(config(PLATFORM))
        await engine.start(ours)
        return ours, await engine.create(config("another"))

    async def main() -> None:
        engine = await connected(_url)
        ours, others = await leave(engine)
        async with container_runtime(tmp_path) as runtime:
            assert await containers(runtime) == []
            assert await engine.state(others) is not None
        assert await engine.state(ours) is None
        assert await engine.state(others) is not None, "also after the end"
        await engine.remove(others)
        await engine.close()

    asyncio.run(main())


def test_an_engine_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    service = podman_service()
    service.start()

    async def use(sandbox: Sandbox, plan: PodPlan) -> None:
        await sandbox.start(plan.containers[0])
        assert await http_status(sandbox.address) == 200

    async def main() -> None:
        async with asyncio.timeout(90), container_runtime(tmp_path, service.url) as runtime:
            await build_test_image(runtime.engine)

            async def up() -> bool:
                return runtime.available() is None

            async def down() -> bool:
                return not await up()

            await runtime.prepare(replace(pod_plan(tmp_path, server()), template="asleep"), 1)
            plan = pod_plan(tmp_path, server())
            sandbox = await runtime.sandbox(plan)
            await use(sandbox, plan)
            before = await containers(runtime)
            service.stop()
            await until(down)
            assert "went away" in (runtime.available() or "") or "answers" in (runtime.available() or "")
            with pytest.raises(StartError) as failure:
                await runtime.sandbox(pod_plan(tmp_path, server()))
            assert failure.value.reason == "CreateContainerError"
            assert await http_status(sandbox.address) == 200, "what runs goes on"
            service.start()
            await until(up)
            assert await http_status(sandbox.address) == 200, "and is not taken for a leftover"
            await sandbox.remove()
            await until(lambda: count(runtime, 1))
            assert not set(await containers(runtime)) & set(before), "the one made ahead has been made anew"
            again = replace(pod_plan(tmp_path, probe("talk")), template="talks")
            await runtime.prepare(again, 1)
            assert await said(runtime, tmp_path, probe("talk"), template="talks") == ["one", "two", "half"]
            again = replace(pod_plan(tmp_path, server()), template="asleep")
            sandbox = await runtime.sandbox(again)
            await use(sandbox, again)
            await sandbox.remove()

    asyncio.run(main())
    service.stop()


class StuckOutput:
    """Of a stream that stays open although nobody writes to it any more."""

    async def read(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


def test_an_end_that_its_output_does_not_tell_of_is_seen_all_the_same(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        plan = pod_plan(tmp_path, server())
        sandbox = await runtime.sandbox(plan)
        make = runtime.make

        async def make_stuck(*arguments: Any) -> Any:
            return replace(await make(*arguments), output=StuckOutput())

        runtime.make = make_stuck  # type: ignore[method-assign]
        container = await sandbox.start(plan.containers[0])
        assert await http_status(sandbox.address) == 200
        async with asyncio.timeout(20):
            assert (await container.stop(300)).code == 0, "it ended by SIGTERM, long before its grace"
        await sandbox.remove()

    run(tmp_path, test)


def test_without_an_engine_it_says_so_and_starts_all_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        async with container_runtime(tmp_path, f"unix://{tmp_path}/none.sock") as runtime:
            assert "start Docker or Podman" in (runtime.available() or "")
            with pytest.raises(StartError):
                await runtime.sandbox(pod_plan(tmp_path, server()))
            await runtime.prepare(pod_plan(tmp_path, server()), 0)

    asyncio.run(main())


def test_a_port_that_only_probes_ask_has_a_door(tmp_path: Path) -> None:
    async def test(runtime: ContainerRuntime) -> None:
        sidecar = server(name="side", env={"PORT": "9000"}, serving=False)
        plan = replace(pod_plan(tmp_path, server(), sidecar), other_ports=(9000,))
        sandbox = await runtime.sandbox(plan)
        for container in plan.containers:
            await sandbox.start(container)
        assert sandbox.address is not None
        door = Address(sandbox.address.host, sandbox.address.doors[9000])
        assert await http_status(door) == await http_status(sandbox.address) == 200
        await sandbox.remove()

    run(tmp_path, test)
