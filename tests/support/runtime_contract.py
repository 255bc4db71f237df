"""What every runtime must do, whatever it starts: one test class that each runtime's tests inherit.

    class TestProcessRuntime(RuntimeContract):
        @contextlib.asynccontextmanager
        async def running(self, tmp_path): ...yields a Runtime whose run() has started
        def container(self, behavior): ...     a ContainerPlan that behaves so, or None: not possible with this runtime

The tests use real time, with deadlines.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from enum import Enum
from pathlib import Path

import pytest

from core.stats import InstanceKey
from deploy.runtimes.base import Address, ContainerPlan, PodPlan, Runtime, Sandbox, StartError

DEADLINE_S = 20.0
_numbers = itertools.count(1)


class Behavior(Enum):
    """What a container of the contract does."""

    SERVES = "answers every HTTP request with 200, ends at SIGTERM with code 0"
    HANGS = "accepts connections and never answers; ends at SIGTERM"
    DEAF = "never listens; ends at SIGTERM"
    STUBBORN = "serves, and ignores SIGTERM"
    FAILS = "prints `no luck` on stderr and exits 3"
    TALKS = "prints `one`, `two` on stdout and `half` without a newline, exits 0"
    SHOWS_ENV = "prints the value of $GREETING and of $PORT, one line each, exits 0"
    MISSING = "cannot be started: what it names is not there"


class RuntimeContract:
    """Inherit, and say how to run the runtime and what its containers are."""

    container_port: int | None = 8080

    def running(self, tmp_path: Path) -> AbstractAsyncContextManager[Runtime]:
        raise NotImplementedError

    def container(self, behavior: Behavior) -> ContainerPlan | None:
        raise NotImplementedError

    def plan(self, tmp_path: Path, behavior: Behavior) -> PodPlan:
        container = self.container(behavior)
        if container is None:
            pytest.skip(f"not possible with this runtime: {behavior.name}")
        return pod_plan(tmp_path, replace(container, serving=True), port=self.container_port)

    def check(self, tmp_path: Path, behavior: Behavior, test: Callable[[Sandbox, PodPlan], Awaitable[None]]) -> None:
        """Runs `test` in a sandbox of the runtime, and removes it after."""
        plan = self.plan(tmp_path, behavior)

        async def run() -> None:
            async with asyncio.timeout(3 * DEADLINE_S), self.running(tmp_path) as runtime:
                assert runtime.available() is None
                await runtime.prepare(plan, 0)
                sandbox = await runtime.sandbox(plan)
                try:
                    await test(sandbox, plan)
                finally:
                    await sandbox.remove()

        asyncio.run(run())

    def test_a_server_answers_at_the_sandbox_address_and_stops_at_sigterm(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            assert sandbox.address is not None, "the address is known before the first start"
            container = await sandbox.start(plan.containers[0])
            assert "://" in container.id
            assert await http_status(sandbox.address) == 200
            exit_ = await container.stop(grace_s=10)
            assert (exit_.code, exit_.oom) == (0, False)
            assert await container.wait() == exit_, "wait answers after the end, too"
            await wait_refused(sandbox.address)

        self.check(tmp_path, Behavior.SERVES, test)

    def test_what_it_uses_is_told_while_it_runs(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            assert sandbox.address is not None
            container = await sandbox.start(plan.containers[0])
            assert await http_status(sandbox.address) == 200
            used = await container.used()
            assert used is not None
            assert used.memory_bytes > 0
            for _ in range(20):
                await http_status(sandbox.address)
            later = await container.used()
            assert later is not None
            assert later.cpu_s >= used.cpu_s
            await container.stop(grace_s=10)
            assert await container.used() is None

        self.check(tmp_path, Behavior.SERVES, test)

    def test_one_that_ignores_sigterm_is_killed_after_the_grace(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            container = await sandbox.start(plan.containers[0])
            assert await http_status(sandbox.address) == 200
            before = time.monotonic()
            exit_ = await container.stop(grace_s=0.5)
            assert time.monotonic() - before >= 0.45, "it had its grace"
            assert exit_.code == 137

        self.check(tmp_path, Behavior.STUBBORN, test)

    def test_an_exit_is_reported_with_its_code_and_last_words(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            container = await sandbox.start(plan.containers[0])
            exit_ = await container.wait()
            assert (exit_.code, exit_.signal) == (3, 0)
            assert "no luck" in exit_.message
            assert log_lines(plan) == [("stderr", "F", "no luck")]

        self.check(tmp_path, Behavior.FAILS, test)

    def test_output_is_in_the_log_when_the_end_is_reported(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            await (await sandbox.start(plan.containers[0])).wait()
            assert log_lines(plan) == [("stdout", "F", "one"), ("stdout", "F", "two"), ("stdout", "P", "half")]

        self.check(tmp_path, Behavior.TALKS, test)

    def test_the_environment_arrives_with_the_port(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            await (await sandbox.start(replace(plan.containers[0], env={"GREETING": "hello world"}))).wait()
            greeting, port = (text for _, _, text in log_lines(plan))
            assert greeting == "hello world"
            assert port.isdigit()

        self.check(tmp_path, Behavior.SHOWS_ENV, test)

    def test_what_cannot_start_says_why(self, tmp_path: Path) -> None:
        plan = self.plan(tmp_path, Behavior.MISSING)

        async def run() -> None:
            async with asyncio.timeout(DEADLINE_S), self.running(tmp_path) as runtime:
                with pytest.raises(StartError) as failure:  # noqa: PT012  where it is found out is the runtime's choice
                    await runtime.prepare(plan, 0)
                    sandbox = await runtime.sandbox(plan)
                    try:
                        await sandbox.start(plan.containers[0])
                    finally:
                        await sandbox.remove()
                assert failure.value.reason
                assert failure.value.message

        asyncio.run(run())

    def test_a_paused_sandbox_answers_only_when_resumed(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            await sandbox.start(plan.containers[0])
            assert await http_status(sandbox.address) == 200
            await sandbox.pause()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await http_status(sandbox.address)
            await sandbox.resume()
            assert await http_status(sandbox.address) == 200

        self.check(tmp_path, Behavior.SERVES, test)

    def test_a_paused_sandbox_can_be_stopped(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            container = await sandbox.start(plan.containers[0])
            await http_status(sandbox.address)
            await sandbox.pause()
            async with asyncio.timeout(20):
                await container.stop(grace_s=1)

        self.check(tmp_path, Behavior.SERVES, test)

    def test_remove_leaves_nothing(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            container = await sandbox.start(plan.containers[0])
            assert await http_status(sandbox.address) == 200
            address = sandbox.address
            await sandbox.remove()
            assert (await container.wait()).code == 137
            await wait_refused(address)
            assert not plan.scratch_dir.exists()

        self.check(tmp_path, Behavior.STUBBORN, test)

    def test_a_container_can_be_started_again_in_its_sandbox(self, tmp_path: Path) -> None:
        async def test(sandbox: Sandbox, plan: PodPlan) -> None:
            for _ in range(2):
                container = await sandbox.start(plan.containers[0])
                assert await http_status(sandbox.address) == 200
                await container.stop(grace_s=5)

        self.check(tmp_path, Behavior.SERVES, test)

    def test_two_sandboxes_do_not_share_an_address(self, tmp_path: Path) -> None:
        plan = self.plan(tmp_path / "a", Behavior.SERVES)
        other = self.plan(tmp_path / "b", Behavior.SERVES)

        async def run() -> None:
            async with asyncio.timeout(DEADLINE_S), self.running(tmp_path) as runtime:
                sandboxes = [await runtime.sandbox(plan), await runtime.sandbox(other)]
                assert sandboxes[0].address != sandboxes[1].address
                await asyncio.gather(*(box.start(plan.containers[0]) for box in sandboxes))
                assert [await http_status(box.address) for box in sandboxes] == [200, 200]
                await asyncio.gather(*(box.remove() for box in sandboxes))

        asyncio.run(run())

    def test_when_the_platform_ends_its_instances_end(self, tmp_path: Path) -> None:
        plan = self.plan(tmp_path, Behavior.SERVES)

        async def run() -> Address:
            async with asyncio.timeout(DEADLINE_S), self.running(tmp_path) as runtime:
                sandbox = await runtime.sandbox(plan)
                await sandbox.start(plan.containers[0])
                assert await http_status(sandbox.address) == 200
                assert sandbox.address is not None
                return sandbox.address

        async def test() -> None:
            await wait_refused(await run())

        asyncio.run(test())


def pod_plan(folder: Path, *containers: ContainerPlan, port: int | None = 8080, name: str = "") -> PodPlan:
    """A plan with folders under `folder` and an instance of its own."""
    number = next(_numbers)
    name = name or f"pod-{number}"
    return PodPlan(
        instance=InstanceKey("default", name, f"uid-{number}"),
        template="template",
        containers=containers,
        port=port,
        log_dir=folder / name / "logs",
        scratch_dir=folder / name / "scratch",
    )


async def http_status(address: Address | None, path: str = "/") -> int:
    """The status of one GET, tried until something listens."""
    assert address is not None
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            break
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens at {address}"
            await asyncio.sleep(0.002)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


async def wait_refused(address: Address) -> None:
    """Returns when nothing listens there any more."""
    deadline = time.monotonic() + DEADLINE_S
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.close()
            await asyncio.sleep(0.01)
        pytest.fail(f"something still listens at {address}")


def log_lines(plan: PodPlan) -> list[tuple[str, str, str]]:
    """(stream, F or P, text) of everything in the first container's log."""
    text = (plan.log_dir / f"{plan.containers[0].name}.log").read_text()
    return [(stream, flag, words) for _, stream, flag, words in (line.split(" ", 3) for line in text.splitlines())]


@contextlib.asynccontextmanager
async def run_runtime(runtime: Runtime) -> AsyncIterator[Runtime]:
    """`run()` in the background until the block ends."""
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(runtime.run(started.set))
        await started.wait()
        try:
            yield runtime
        finally:
            task.cancel()
