"""The spawner, its platform's end, and what becomes of everything when either of them is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.runtimes.base import Exit
from deploy.runtimes.cgroups import Cgroups
from deploy.runtimes.kernel import descends, environment_of, processes
from deploy.runtimes.logfile import LogFile
from deploy.runtimes.spawning import SPAWNER_DIED, Command, SpawnerLink, SpawnFailed
from tests.support.servers import compiled_server

ROOT = Path(__file__).parents[3]

# A platform that starts a server with a grandchild in a session of its own, says its pids, and waits to be killed.
PLATFORM = """
import asyncio, sys
from pathlib import Path
from deploy.runtimes.spawning import Command, SpawnerLink
from deploy.runtimes.ports import Ports

async def main(folder):
    (folder / "hosts").write_text("127.0.0.1 localhost\\n")
    link, ports = SpawnerLink(sys.argv[3], folder / "hosts"), Ports()
    async with asyncio.TaskGroup() as group:
        started = asyncio.Event()
        group.create_task(link.run(started.set))
        await started.wait()
        for number in range(3):
            env = {"PORT": str(ports.take()), "TMPDIR": str(folder), "SERVER_MODE": ("fork", "stubborn", "")[number]}
            process = await link.start(Command(f"i{number}", (sys.argv[2],), env, "/", str(folder / "log")))
            print(process.pid, flush=True)
        print("up", flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


def children_of(pid: int) -> set[int]:
    parents = {child: parent for child, parent, _ in processes()}
    return {child for child in parents if child != pid and descends(child, pid, parents)}


async def until_gone(pids: set[int], limit_s: float = 10.0) -> set[int]:
    """The pids that are left after the limit, without waiting for it when there are none."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while (left := pids & {pid for pid, _, _ in processes()}) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    return left


def start_platform(folder: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PLATFORM, str(folder), str(compiled_server()), name],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def everything(platform: subprocess.Popen[bytes], folder: Path) -> set[int]:
    """Every pid that came from the platform, once it is up."""
    assert platform.stdout is not None
    pids = {int(line) for line in iter(platform.stdout.readline, b"up\n")}
    grandchild = folder / "grandchild"
    while not (grandchild.exists() and grandchild.stat().st_size):
        assert platform.poll() is None
    return pids | children_of(platform.pid) | {int(grandchild.read_text())}


def test_kill_9_of_the_platform_leaves_no_process(tmp_path: Path) -> None:
    name = f"pilotlight-test-{os.getpid()}-killed"
    platform = start_platform(tmp_path, name)
    pids = everything(platform, tmp_path)
    assert len(pids) >= 5, "spawner, three servers, a grandchild"
    platform.kill()
    platform.wait()
    assert asyncio.run(until_gone(pids)) == set()
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/{name}") if path.is_dir()]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: without a cgroup nobody knows whose the orphans were")
def test_kill_9_of_platform_and_spawner_leaves_no_process_after_the_next_start(tmp_path: Path) -> None:
    name = f"pilotlight-test-{os.getpid()}-both"
    platform = start_platform(tmp_path, name)
    pids = everything(platform, tmp_path)
    platform.send_signal(signal.SIGSTOP)
    (spawner,) = [pid for pid, parent, _ in processes() if parent == platform.pid]
    os.kill(spawner, signal.SIGKILL)
    platform.kill()
    platform.wait()

    async def next_start() -> None:
        async with running_link(tmp_path, name):
            assert await until_gone(pids) == set()

    asyncio.run(next_start())


@contextlib.asynccontextmanager
async def running_link(folder: Path, name: str):
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    link = SpawnerLink(name, folder / "hosts")
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.run(started.set))
        await started.wait()
        try:
            yield link
        finally:
            task.cancel()


def command(folder: Path, *argv: str, name: str = "x") -> Command:
    return Command(name, argv, {"PATH": os.environ["PATH"]}, "/", str(folder / f"{name}.log"))


def test_when_the_spawner_dies_its_instances_are_reported_and_another_is_started(tmp_path: Path) -> None:
    async def test() -> None:
        async with asyncio.timeout(30), running_link(tmp_path, f"pilotlight-test-{os.getpid()}-again") as link:
            process = await link.start(command(tmp_path, "sleep", "1000"))
            (spawner,) = [parent for pid, parent, _ in processes() if pid == process.pid]
            os.kill(spawner, signal.SIGKILL)
            assert await process.wait() == SPAWNER_DIED
            assert await until_gone({process.pid}) == set()
            while not link.is_up:
                await asyncio.sleep(0.01)
            again = await link.start(command(tmp_path, "sh", "-c", "exit 5", name="y"))
            assert (await again.wait()).code == 5

    asyncio.run(test())


def test_a_request_without_a_spawner_fails_and_does_not_wait(tmp_path: Path) -> None:
    async def test() -> str:
        try:
            await SpawnerLink("never-run", tmp_path / "hosts").start(command(tmp_path, "true"))
        except SpawnFailed as error:
            return error.message
        return ""

    assert "being started" in asyncio.run(test())


def test_much_output_is_all_logged_and_rotated(tmp_path: Path) -> None:
    async def test() -> None:
        async with asyncio.timeout(60), running_link(tmp_path, f"pilotlight-test-{os.getpid()}-logs") as link:
            script = "for i in range(300000): print('line', i, 'x' * 60)"
            process = await link.start(command(tmp_path, sys.executable, "-I", "-S", "-c", script))
            assert (await process.wait()).code == 0

    asyncio.run(test())
    newest = (tmp_path / "x.log").read_bytes().splitlines()
    assert newest[-1].split(b" ")[4:6] == [b"299999", b"x" * 60]
    assert {path.name for path in tmp_path.glob("x.log*")} == {"x.log", "x.log.1", "x.log.2"}
    assert all(path.stat().st_size <= 10 << 20 for path in tmp_path.glob("x.log*"))


def test_many_starts_at_once_all_run_and_all_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with asyncio.timeout(60), running_link(tmp_path, f"pilotlight-test-{os.getpid()}-many") as link:
            commands = [command(tmp_path, "sh", "-c", f"exit {number}", name=f"n{number}") for number in range(100)]
            started = await asyncio.gather(*(link.start(each) for each in commands))
            exits: list[Exit] = await asyncio.gather(*(process.wait() for process in started))
            assert [exit_.code for exit_ in exits] == list(range(100))

    asyncio.run(test())


def test_without_cgroups_a_daemon_is_found_by_its_mark(tmp_path: Path) -> None:
    """What `Instance.members` falls back to: session, descent, and the environment of those we adopted."""
    from deploy.runtimes import instance as instances

    instance = instances.Instance({"id": "marked", "log": str(tmp_path / "log")}, None)
    orphan = subprocess.Popen(
        ["sleep", "1000"], env={**os.environ, instances.MARKER: "marked"}, start_new_session=True
    )  # our child and not the instance's, as an adopted daemon is
    try:

        async def marked() -> None:
            while f"{instances.MARKER}=marked".encode() not in environment_of(orphan.pid):
                await asyncio.sleep(0.001)

        asyncio.run(asyncio.wait_for(marked(), 10))
        instance.pid = 1 << 30
        assert orphan.pid in instance.members()
        instance.kill()
        assert orphan.wait(10) == -signal.SIGKILL
    finally:
        orphan.kill()
        instance.close()


def test_log_lines_are_stamped_and_pieces_are_marked(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write(b"stdout", b"one\n\ntwo")
    log.write(b"stdout", b" goes on\n")
    log.write(b"stderr", b"\n")
    log.close()
    fields = [line.split(" ", 3) for line in (tmp_path / "log").read_text().splitlines()]
    assert [field[1:] for field in fields] == [
        ["stdout", "F", "one"],
        ["stdout", "F", ""],
        ["stdout", "P", "two"],
        ["stdout", "F", " goes on"],
        ["stderr", "F", ""],
    ]
    assert all(len(field[0]) == len("2016-10-06T00:17:09.669794202Z") for field in fields)


def test_a_log_is_rotated_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", bytes_max=1000, files=3)
    for number in range(100):
        log.write(b"stdout", b"%d %s\n" % (number, b"x" * 100))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    numbers = [
        int(line.split()[3])
        for name in ("log.2", "log.1", "log")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 100))


def test_cgroups_are_made_and_removed_where_they_are_writable() -> None:
    cgroups = Cgroups(f"pilotlight-test-{os.getpid()}-unit")
    group = cgroups.make("one", limited=True)
    assert (group is not None) == cgroups.freezer
    if group is not None:
        group.limit(1 << 30, 100)
        assert group.pids() == []
        assert group.remove()
    cgroups.remove()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/pilotlight-test-{os.getpid()}-unit"))
