"""Runtime `process` with real processes: the contract, and what is its own (and `deploy.runtimes.mount_points`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.runtimes.base import PORT_PLACEHOLDER, ContainerPlan, Identity, Limits, Mount, Runtime, StartError
from deploy.runtimes.kernel import processes
from deploy.runtimes.ports import Ports
from deploy.runtimes.process import ProcessRuntime
from deploy.runtimes.spawning import SpawnerLink
from tests.support.runtime_contract import Behavior, RuntimeContract, http_status, log_lines, pod_plan, run_runtime
from tests.support.servers import compiled_server

HOSTS = "127.0.0.1 localhost\n127.0.0.1 hello.default.svc.cluster.local\n"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def shell(script: str, **fields: object) -> ContainerPlan:
    return program("sh", "-c", script, **fields)


def program(*command: str, **fields: object) -> ContainerPlan:
    return replace(ContainerPlan(name="main", image="", command=command), **fields)


def python(script: str, **fields: object) -> ContainerPlan:
    return program(sys.executable, "-I", "-S", "-c", script, **fields)


def server(mode: str = "") -> ContainerPlan:
    return ContainerPlan(
        name="main", image="", command=(str(compiled_server()),), env={"SERVER_MODE": mode}, serving=True
    )


@contextlib.asynccontextmanager
async def process_runtime(folder: Path) -> AsyncIterator[ProcessRuntime]:
    folder.mkdir(parents=True, exist_ok=True)
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    runtime = ProcessRuntime(SpawnerLink(f"pilotlight-test-{os.getpid()}-{folder.name}", hosts), Ports())
    async with run_runtime(runtime):
        yield runtime


def run(tmp_path: Path, test: Callable[[ProcessRuntime], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), process_runtime(tmp_path) as runtime:
            await test(runtime)

    asyncio.run(main())


class TestProcessRuntime(RuntimeContract):
    def running(self, tmp_path: Path) -> AbstractAsyncContextManager[Runtime]:
        return process_runtime(tmp_path)

    def container(self, behavior: Behavior) -> ContainerPlan:
        return {
            Behavior.SERVES: server(),
            Behavior.HANGS: server("hang"),
            Behavior.DEAF: server("deaf"),
            Behavior.STUBBORN: server("stubborn"),
            Behavior.FAILS: shell("echo no luck >&2; exit 3"),
            Behavior.TALKS: shell("echo one; echo two; printf half"),
            Behavior.SHOWS_ENV: shell('echo "$GREETING"; echo "$PORT"'),
            Behavior.MISSING: program("/no/such/program"),
        }[behavior]


def output_of(tmp_path: Path, container: ContainerPlan) -> list[str]:
    """What the container prints until it ends."""
    plan = pod_plan(tmp_path, container)

    async def test(runtime: ProcessRuntime) -> None:
        sandbox = await runtime.sandbox(plan)
        await (await sandbox.start(container)).wait()
        await sandbox.remove()

    run(tmp_path, test)
    return [text for _, _, text in log_lines(plan)]


def test_the_environment_is_clean_and_the_port_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_SECRET", "do not tell")
    container = shell("env; echo", args=(), env={"URL": f"http://x:{PORT_PLACEHOLDER}/"}, serving=True)
    env = dict(line.split("=", 1) for line in output_of(tmp_path, container) if "=" in line)
    assert env.keys() - {"PWD", "OLDPWD", "SHLVL", "_", "LANG", "LC_ALL", "TZ", "PILOTLIGHT_INSTANCE"} == {
        "PATH", "HOME", "TMPDIR", "HOSTNAME", "PORT", "URL",
    }  # fmt: skip
    assert env["URL"] == f"http://x:{env['PORT']}/"


def test_as_many_descriptors_as_the_platform_was_started_with(tmp_path: Path) -> None:
    """Not as many as the gateway takes for itself, also by a spawner that was started after that."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    plan = pod_plan(tmp_path, shell("ulimit -Sn"))

    async def test(runtime: ProcessRuntime) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
        sandbox = await runtime.sandbox(plan)
        first = await sandbox.start(shell("exec sleep 60"))
        (spawner,) = [parent for pid, parent, _ in processes() if f"process://{pid}" == first.id]
        os.kill(spawner, signal.SIGKILL)
        await first.wait()
        while runtime.available() is not None:
            await asyncio.sleep(0.01)
        await (await sandbox.start(plan.containers[0])).wait()
        await sandbox.remove()

    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        run(tmp_path, test)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [text for _, _, text in log_lines(plan)] == ["512"]


def test_no_descriptor_but_the_three_and_stdin_is_at_its_end(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "fds = sorted(os.listdir('/proc/self/fd'))[:-1]\n"
        "print(fds, repr(sys.stdin.read()), os.getpid() == os.getsid(0))"
    )
    (line,) = output_of(tmp_path, python(script))
    assert line == "['0', '1', '2'] '' True"


def test_signals_are_as_a_shell_would_hand_them_on(tmp_path: Path) -> None:
    lines = output_of(tmp_path, shell("grep -E 'Sig(Blk|Ign)' /proc/self/status"))
    own = 0b11 << 31  # 32 and 33, the C library's: its posix_spawn, and so make, has them ignored
    assert {int(line.split()[1], 16) & ~own for line in lines} == {0}


def test_a_folder_image_is_the_working_directory_and_a_missing_one_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    assert output_of(tmp_path, shell("pwd", image=f"dir:{folder}")) == [str(folder)]
    assert output_of(tmp_path, shell("pwd", image=f"dir:{folder}", working_dir="/tmp")) == ["/tmp"]

    async def test(runtime: ProcessRuntime) -> None:
        for container, words in (
            (shell("true", working_dir="/no/where"), 'workingDir "/no/where" does not exist'),
            (
                program("no-such-program"),
                'exec: "no-such-program": executable file not found',
            ),
            (program("/etc"), 'exec: "/etc": permission denied'),
            (ContainerPlan("main", "some/image"), "has no command"),
        ):
            with pytest.raises(StartError, match=words):  # noqa: PT012
                sandbox = await runtime.sandbox(pod_plan(tmp_path, container))
                await sandbox.start(container)

    run(tmp_path, test)


def test_a_grandchild_that_left_its_session_ends_with_its_instance(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        plan = pod_plan(tmp_path, server("fork"))
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        await http_status(sandbox.address)
        grandchild = int(await contents(plan.scratch_dir / "tmp/grandchild"))
        assert is_alive(grandchild)
        before = time.monotonic()
        await container.stop(grace_s=0.5)
        assert not is_alive(grandchild)
        assert time.monotonic() - before < 5
        await sandbox.remove()

    run(tmp_path, test)


def test_when_the_first_process_dies_the_rest_goes_at_once(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        plan = pod_plan(tmp_path, shell("sleep 1000 & echo $! > $TMPDIR/child; exit 7"))
        sandbox = await runtime.sandbox(plan)
        exit_ = await (await sandbox.start(plan.containers[0])).wait()
        assert exit_.code == 7
        assert not is_alive(int((plan.scratch_dir / "tmp/child").read_text()))
        await sandbox.remove()

    run(tmp_path, test)


def test_the_children_of_a_shell_may_use_the_grace(tmp_path: Path) -> None:
    """`sh -c "server"` dies of SIGTERM at once; the server it runs must still get its time."""
    script = "(trap 'sleep 0.3; echo drained; exit 0' TERM; echo up; while :; do sleep 0.01; done) & wait"

    async def test(runtime: ProcessRuntime) -> None:
        plan = pod_plan(tmp_path, shell(script))
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        await contents(plan.log_dir / "main.log")
        exit_ = await container.stop(grace_s=10)
        assert exit_.signal == signal.SIGTERM
        assert "drained" in exit_.message
        await sandbox.remove()

    run(tmp_path, test)


def test_a_command_runs_beside_it_with_its_environment(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        plan = pod_plan(tmp_path, replace(server(), env={"COLOR": "blue"}))
        sandbox = await runtime.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        assert await container.execute(("sh", "-c", "echo $COLOR $PORT; exit 4"), 5) == (
            4,
            f"blue {sandbox.address.port}\n",
        )
        assert (await container.execute(("sleep", "100"), 0.2))[0] == 137
        assert (await container.execute(("/no/such",), 5))[0] == 126
        assert await http_status(sandbox.address) == 200, "the container itself is untouched"
        await container.stop(1)
        assert (await container.execute(("true",), 5))[0] == 126
        await sandbox.remove()

    run(tmp_path, test)


@pytest.mark.cgroup
def test_a_memory_limit_is_kept_or_its_absence_is_said(tmp_path: Path) -> None:
    script = "b = bytearray(); [b.extend(bytes(1 << 20)) for _ in range(400)]; print('survived')"
    container = python(script, limits=Limits(64 << 20, 500))

    async def test(runtime: ProcessRuntime) -> None:
        sandbox = await runtime.sandbox(pod_plan(tmp_path, container))
        exit_ = await (await sandbox.start(container)).wait()
        if any("memory limits are not enforced" in warning for warning in sandbox.warnings):
            assert exit_.code == 0
        else:
            assert (exit_.code, exit_.oom) == (137, True)
        await sandbox.remove()

    run(tmp_path, test)


@root_only
def test_an_instance_runs_as_the_user_it_was_told(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    container = shell("id -u; id -g; touch $TMPDIR/x && echo writable", identity=Identity(user=12345, group=23456))
    assert output_of(tmp_path, container) == ["12345", "23456", "writable"]


@root_only
def test_run_as_non_root_refuses_root(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        container = shell("true", identity=Identity(non_root=True))
        sandbox = await runtime.sandbox(pod_plan(tmp_path, container))
        with pytest.raises(StartError, match="runAsNonRoot"):
            await sandbox.start(container)

    run(tmp_path, test)


def test_service_names_resolve_or_the_reason_is_said(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        plan = pod_plan(tmp_path, shell("cat /etc/hosts"))
        sandbox = await runtime.sandbox(plan)
        await (await sandbox.start(plan.containers[0])).wait()
        text = "".join(f"{line}\n" for _, _, line in log_lines(plan))
        said = any("names do not resolve" in warning for warning in sandbox.warnings)
        assert (text == HOSTS) != said
        await sandbox.remove()

    run(tmp_path, test)
    assert Path("/etc/hosts").read_text() != HOSTS, "the machine's own is untouched"


@root_only
def test_volumes_are_mounted_for_the_instance_alone(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "key").write_text("value\n")
    target = tmp_path / "made" / "deep" / "config"
    container = shell(f"cat {target}/key; touch {target}/new || echo read-only", mounts=(Mount(volume, str(target)),))
    lines = output_of(tmp_path, container)
    assert lines[0] == "value"
    assert lines[-1] == "read-only"
    assert not (tmp_path / "made").exists(), "the mount points went with the Pod"


@root_only
def test_last_words_are_what_it_wrote_to_the_file_of_its_choice(tmp_path: Path) -> None:
    path = str(tmp_path / "made" / "last-words")
    container = shell(f"yes 1234567 | head -c 6000 > {path}; printf end >> {path}; exit 3", last_words_path=path)

    async def test(runtime: ProcessRuntime) -> None:
        plan = pod_plan(tmp_path, container)
        sandbox = await runtime.sandbox(plan)
        exit_ = await (await sandbox.start(container)).wait()
        assert (exit_.code, len(exit_.last_words), exit_.last_words[-4:]) == (3, 4096, "\nend")
        silent = shell("exit 3", last_words_path=path)
        assert (await (await sandbox.start(silent)).wait()).last_words == "", "those of the run before are gone"
        await sandbox.remove()

    run(tmp_path, test)
    assert not (tmp_path / "made").exists()


@root_only
def test_a_mount_point_stays_until_its_last_user_goes(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "key").write_text("value")
    target = tmp_path / "made"

    async def test(runtime: ProcessRuntime) -> None:
        plans = [
            pod_plan(
                tmp_path, shell(f"read x; sleep 100 & wait; cat {target}/key", mounts=(Mount(volume, str(target)),))
            )
            for _ in range(2)
        ]
        first, second = [await runtime.sandbox(plan) for plan in plans]
        await first.start(plans[0].containers[0])
        stays = await second.start(plans[1].containers[0])
        await first.remove()
        assert await stays.execute(("cat", f"{target}/key"), 5) == (0, "value")
        await second.remove()
        assert not target.exists()

    run(tmp_path, test)


@root_only
def test_host_aliases_are_added_for_the_pod_alone(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        plan = replace(pod_plan(tmp_path, shell("cat /etc/hosts")), hosts={"db.test": "10.0.0.9"})
        sandbox = await runtime.sandbox(plan)
        await (await sandbox.start(plan.containers[0])).wait()
        lines = [text for _, _, text in log_lines(plan)]
        assert lines == [*HOSTS.splitlines(), "# hostAliases", "10.0.0.9 db.test"]
        await sandbox.remove()

    run(tmp_path, test)


def test_a_wanted_port_is_given_where_it_is_free(tmp_path: Path) -> None:
    async def test(runtime: ProcessRuntime) -> None:
        free = Ports().take()
        plan = replace(pod_plan(tmp_path, shell("true"), port=free), port_is_fixed=True)
        first, second = await runtime.sandbox(plan), await runtime.sandbox(plan)
        assert first.address.port == free
        assert second.address.port != free

    run(tmp_path, test)


async def contents(path: Path) -> str:
    """Of a file that is about to be written."""
    async with asyncio.timeout(10):
        while not (path.exists() and path.stat().st_size):
            await asyncio.sleep(0.005)
    return path.read_text()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
