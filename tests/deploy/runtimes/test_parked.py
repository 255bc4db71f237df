"""The process that waits to be the next command: it becomes it, it is replaced, and it holds nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.runtimes.kernel import environment_of, processes
from deploy.runtimes.spawning import Command, SpawnerLink, SpawnFailed

WAIT_S_MAX = 10.0


def command(link: SpawnerLink, folder: Path, **changes: object) -> Command:
    fields = {"argv": ("/bin/sleep", "60"), "env": {"A": "b"}, "cwd": "/", "log": str(folder / "log"), **changes}
    return Command(link.make_id("i"), **fields)  # type: ignore[arg-type]


def run(folder: Path, test: Callable[[SpawnerLink], Awaitable[None]]) -> None:
    async def main() -> None:
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        link, started = SpawnerLink(f"parked-{os.getpid()}", folder / "hosts"), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(link.run(started.set))
            await started.wait()
            await test(link)
            task.cancel()

    asyncio.run(main())


def spawner_pid() -> int:
    """The one child of this process that runs the spawner's program."""
    return next(pid for pid, parent, _ in processes() if parent == os.getpid() and b"spawner" in command_line(pid))


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def parked(without: int = 0) -> int:
    """The pid of the process that waits, once there is one; `without`: another than that."""
    deadline, spawner = asyncio.get_running_loop().time() + WAIT_S_MAX, spawner_pid()
    while asyncio.get_running_loop().time() < deadline:
        for pid, parent, session in processes():
            if parent == spawner and session == pid != without and command_line(pid) == command_line(spawner):
                return pid
        await asyncio.sleep(0.01)
    raise TimeoutError("no process waits")


def test_a_start_becomes_the_process_that_waited_and_another_takes_its_place(tmp_path: Path) -> None:
    async def test(link: SpawnerLink) -> None:
        waiting = await parked()
        process = await link.start(command(link, tmp_path))
        assert process.pid == waiting
        assert command_line(waiting).startswith(b"/bin/sleep")
        assert b"A=b" in environment_of(waiting)
        assert await parked() != waiting
        await process.stop(1.0)

    run(tmp_path, test)


def test_starts_faster_than_it_is_replaced_are_forked(tmp_path: Path) -> None:
    async def test(link: SpawnerLink) -> None:
        await parked()
        started = await asyncio.gather(*(link.start(command(link, tmp_path)) for _ in range(4)))
        assert len({process.pid for process in started}) == 4
        for process in started:
            assert (await process.stop(1.0)).signal == signal.SIGTERM

    run(tmp_path, test)


def test_one_that_was_killed_while_it_waited_is_replaced(tmp_path: Path) -> None:
    async def test(link: SpawnerLink) -> None:
        first = await parked()
        os.kill(first, signal.SIGKILL)
        while first in {pid for pid, _, _ in processes()}:
            await asyncio.sleep(0.001)
        process = await link.start(command(link, tmp_path))
        assert process.pid != first
        await process.stop(1.0)
        assert await parked(without=first)

    run(tmp_path, test)


def test_what_cannot_run_is_told_as_by_a_fork(tmp_path: Path) -> None:
    async def test(link: SpawnerLink) -> None:
        await parked()
        with pytest.raises(SpawnFailed) as failed:
            await link.start(command(link, tmp_path, argv=("/no/such/program",)))
        assert failed.value.missing

    run(tmp_path, test)


def test_one_with_limits_or_too_large_an_environment_is_forked(tmp_path: Path) -> None:
    async def test(link: SpawnerLink) -> None:
        for changes in ({"memory": 64 << 20}, {"env": {f"V{n}": "x" * 100_000 for n in range(5)}}):
            waiting = await parked()
            process = await link.start(command(link, tmp_path, **changes))
            assert process.pid != waiting, changes
            await process.stop(1.0)

    run(tmp_path, test)


def test_it_holds_no_descriptor_but_its_own(tmp_path: Path) -> None:
    async def test(link: SpawnerLink) -> None:
        process = await link.start(command(link, tmp_path))  # whose pipes and log the spawner holds
        waiting = await parked(without=process.pid)

        def held() -> list[str]:
            return [os.readlink(f"/proc/{waiting}/fd/{fd}") for fd in os.listdir(f"/proc/{waiting}/fd")]

        deadline = asyncio.get_running_loop().time() + WAIT_S_MAX
        while len(held()) > 5 and asyncio.get_running_loop().time() < deadline:  # it is closing them
            await asyncio.sleep(0.01)
        kinds = sorted(name.partition(":")[0] for name in held())
        assert kinds == ["/dev/null", "pipe", "pipe", "pipe", "socket"], held()
        await process.stop(1.0)

    run(tmp_path, test)


def test_nothing_waits_when_the_spawner_has_gone(tmp_path: Path) -> None:
    waiting = []

    async def test(link: SpawnerLink) -> None:
        waiting.append(await parked())

    run(tmp_path, test)
    assert waiting[0] not in {pid for pid, _, _ in processes()}
