"""Runtime `python` with real forks: the contract of every runtime, and what is its own.

Covers deploy/runtimes/python.py, deploy/runtimes/templates.py and deploy/runtimes/forking.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from deploy.runtimes.base import ContainerPlan, Identity, Limits, Mount, Runtime, Sandbox, StartError
from deploy.runtimes.ports import Ports
from deploy.runtimes.process import ProcessRuntime
from deploy.runtimes.python import PythonRuntime, PythonSettings
from deploy.runtimes.spawning import SpawnerLink
from tests.support.functions import make_wheel, write
from tests.support.open_python import use_open_python
from tests.support.runtime_contract import Behavior, RuntimeContract, http_status, log_lines, pod_plan, run_runtime

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SERVES = "def handle(request):\n    return 'hello'\n"
WHO = """
    import os
    imported_in = os.getpid()

    def handle(request):
        return {"imported_in": imported_in, "pid": os.getpid(), "cwd": os.getcwd(), "env": dict(os.environ)}
"""
DEAF = """
    import asyncio

    def new():
        return Function()

    class Function:
        async def start(self, cfg):
            await asyncio.sleep(600)
        def handle(self, request):
            pass
"""
STUBBORN = """
    import signal

    def new():
        return Function()

    class Function:
        def start(self, cfg):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def handle(self, request):
            return "still here"
"""
BEHAVIORS = {
    Behavior.SERVES: SERVES,
    Behavior.HANGS: "import asyncio\nasync def handle(request):\n await asyncio.sleep(600)",
    Behavior.DEAF: DEAF,
    Behavior.STUBBORN: STUBBORN,
    Behavior.FAILS: "import sys\nprint('no luck', file=sys.stderr)\nsys.exit(3)",
    Behavior.TALKS: "import sys\nprint('one\\ntwo\\nhalf', end='')\nsys.exit(0)",
    Behavior.SHOWS_ENV: "import os, sys\nprint(os.environ['GREETING'])\nprint(os.environ['PORT'])\nsys.exit(0)",
}


@dataclass
class Platform:
    python: PythonRuntime
    process: ProcessRuntime
    link: SpawnerLink
    folder: Path


@contextlib.asynccontextmanager
async def platform(folder: Path, templates_max: int = 32) -> AsyncIterator[Platform]:
    folder.mkdir(parents=True, exist_ok=True)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    link, ports = SpawnerLink(f"pilotlight-test-{os.getpid()}-{folder.name}", hosts), Ports()
    process = ProcessRuntime(link, ports)
    python = PythonRuntime(link, ports, PythonSettings(folder / "data", templates_max), SystemClock())
    async with run_runtime(process), run_runtime(python):
        yield Platform(python, process, link, folder)


def function(folder: Path, text: str = SERVES, **fields: Any) -> ContainerPlan:
    write(folder, main=text)
    return replace(ContainerPlan(name="main", image=f"dir:{folder}", serving=True), **fields)


def run(tmp_path: Path, test: Callable[[Platform], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(100), platform(tmp_path / "platform", **options) as running:
            await test(running)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def started(running: Platform, container: ContainerPlan, warm: bool = True) -> AsyncIterator[Sandbox]:
    plan = pod_plan(running.folder, container)
    if warm:
        await running.python.prepare(plan, 1)
    sandbox = await running.python.sandbox(plan)
    try:
        await sandbox.start(plan.containers[0])
        yield sandbox
    finally:
        await sandbox.remove()


async def ask(sandbox: Sandbox) -> Any:
    assert await http_status(sandbox.address) == 200
    address = sandbox.address
    assert address is not None

    def get() -> Any:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
        connection.request("GET", "/")
        return json.loads(connection.getresponse().read())

    return await asyncio.to_thread(get)


class TestPythonRuntime(RuntimeContract):
    @contextlib.asynccontextmanager
    async def _running(self, tmp_path: Path) -> AsyncIterator[Runtime]:
        async with platform(tmp_path) as running:
            yield running.python

    def running(self, tmp_path: Path) -> AbstractAsyncContextManager[Runtime]:
        return self._running(tmp_path)

    def plan(self, tmp_path: Path, behavior: Behavior) -> Any:
        self.folder = tmp_path / "function"
        return super().plan(tmp_path, behavior)

    def container(self, behavior: Behavior) -> ContainerPlan:
        if behavior is Behavior.MISSING:
            return ContainerPlan(name="main", image="dir:/no/such/folder")
        return function(self.folder, BEHAVIORS[behavior])


def test_instances_are_forked_from_one_template(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", WHO)
        async with started(running, container) as one, started(running, container) as two:
            first, second = await ask(one), await ask(two)
        assert first["imported_in"] == second["imported_in"]
        assert len({first["imported_in"], first["pid"], second["pid"]}) == 3
        assert first["env"]["HOSTNAME"] != second["env"]["HOSTNAME"]

    run(tmp_path, test)


def test_a_revision_runs_the_content_that_it_was_resolved_to(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", "def handle(r):\n return 1")
        image = await running.python.resolve(container)
        function(tmp_path / "f", "def handle(r):\n return 2")
        assert await running.python.resolve(container) != image
        async with started(running, replace(container, image=image)) as old, started(running, container) as new:
            assert (await ask(old), await ask(new)) == (1, 2)

    run(tmp_path, test)


def test_the_environment_of_the_container_is_there_at_import_and_after(tmp_path: Path) -> None:
    text = "import os\nAT_IMPORT = os.environ['WORD']\ndef handle(r):\n return [AT_IMPORT, os.environ['WORD']]"

    async def test(running: Platform) -> None:
        for word in ("one", "two"):
            async with started(running, function(tmp_path / "f", text, env={"WORD": word})) as sandbox:
                assert await ask(sandbox) == [word, word]

    run(tmp_path, test)


def test_nothing_of_the_platforms_environment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_SECRET", "s3cret")

    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", WHO)
        async with started(running, container) as sandbox:
            assert "PLATFORM_SECRET" not in (await ask(sandbox))["env"]

    run(tmp_path, test)


def test_a_spare_is_made_ahead_and_becomes_the_next_instance(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", WHO)
        async with started(running, container) as first:
            template = (await ask(first))["imported_in"]
            spare = await wait_spare(template, (await ask(first))["pid"])
            async with started(running, container) as second:
                said = await ask(second)
                assert said["pid"] == spare
                assert said["env"]["HOSTNAME"].startswith("pod-")
            spare = await wait_spare(template, (await ask(first))["pid"])
            os.kill(spare, signal.SIGKILL)
            await wait_gone(spare)
            async with started(running, container) as third:
                assert (await ask(third))["imported_in"] == template

    run(tmp_path, test)


THREADED = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True, name='t').start()\n"


def test_a_function_that_cannot_be_forked_is_started_afresh_with_a_warning(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        async with started(running, function(tmp_path / "f", THREADED + textwrap.dedent(WHO))) as sandbox:
            said = await ask(sandbox)
            assert said["imported_in"] == said["pid"]
            assert "started as a fresh process, not forked: the import started a thread (t)" in sandbox.warnings

    run(tmp_path, test)


def test_an_import_that_fails_leaves_its_traceback_in_the_instances_log(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        plan = pod_plan(running.folder, function(tmp_path / "f", "raise LookupError('gone')"))
        await running.python.prepare(plan, 1)
        sandbox = await running.python.sandbox(plan)
        exit_ = await (await sandbox.start(plan.containers[0])).wait()
        assert exit_.code == 1
        assert "LookupError: gone" in exit_.message
        assert "main.py" in exit_.message.splitlines()[1], "it begins with frames that are not the author's"
        assert any("main.py" in text for _, _, text in log_lines(plan))
        await sandbox.remove()

    run(tmp_path, test)


def test_output_of_import_and_handler_is_in_the_log(tmp_path: Path) -> None:
    text = "print('importing')\ndef handle(r):\n print('handling')"

    async def test(running: Platform) -> None:
        plan = pod_plan(running.folder, function(tmp_path / "f", text))
        sandbox = await running.python.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        await http_status(sandbox.address)
        await container.stop(5)
        assert [words for _, _, words in log_lines(plan)] == ["importing", "handling"]
        await sandbox.remove()

    run(tmp_path, test)


def test_templates_are_bounded_and_their_instances_outlive_them(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        async with started(running, function(tmp_path / "a", WHO)) as first:
            template = (await ask(first))["imported_in"]
            others = [function(tmp_path / name, f"name = {name!r}\n{SERVES}") for name in "bc"]
            async with started(running, others[0]), started(running, others[1]):
                assert await http_status(first.address) == 200
                assert Path(f"/proc/{template}").exists(), "it stays for its instance"
        await wait_gone(template)

    run(tmp_path, test, templates_max=2)


def test_preparing_no_spares_lets_go_of_the_template(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", WHO)
        async with started(running, container) as sandbox:
            template = (await ask(sandbox))["imported_in"]
        await running.python.prepare(pod_plan(running.folder, container), 0)
        await wait_gone(template)

    run(tmp_path, test)


def test_a_template_that_was_killed_takes_its_instances_along_and_is_made_again(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", WHO)
        plan = pod_plan(running.folder, container)
        sandbox = await running.python.sandbox(plan)
        instance = await sandbox.start(container)
        os.kill((await ask(sandbox))["imported_in"], signal.SIGKILL)
        assert (await instance.wait()).signal == signal.SIGKILL
        await sandbox.start(container)
        assert await http_status(sandbox.address) == 200
        await sandbox.remove()

    run(tmp_path, test)


def test_kill_9_of_the_spawner_leaves_no_process(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", WHO)
        sandbox = await running.python.sandbox(pod_plan(running.folder, container))
        await sandbox.start(container)
        said = await ask(sandbox)
        os.kill(parent_of(said["imported_in"]), signal.SIGKILL)
        await wait_gone(said["pid"])
        await wait_gone(said["imported_in"])

    run(tmp_path, test)


@root_only
def test_a_user_who_may_not_run_python_is_told_so(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", identity=Identity(user=65534))
        sandbox = await running.python.sandbox(pod_plan(running.folder, container))
        with pytest.raises(StartError, match="user 65534 may not"):
            await sandbox.start(container)
        await sandbox.remove()

    (tmp_path / "platform").mkdir()
    (tmp_path / "platform").chmod(0o700)
    run(tmp_path, test)


def test_a_command_runs_in_the_functions_folder_and_environment(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", "print('as a program')", command=("python", "main.py"))
        plan = pod_plan(running.folder, container, port=None)
        sandbox = await running.python.sandbox(plan)
        assert (await (await sandbox.start(container)).wait()).code == 0
        assert log_lines(plan) == [("stdout", "F", "as a program")]
        await sandbox.remove()

    run(tmp_path, test)


def test_an_exec_probe_runs_beside_a_forked_function(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        plan = pod_plan(running.folder, function(tmp_path / "f", env={"WORD": "hi"}))
        sandbox = await running.python.sandbox(plan)
        container = await sandbox.start(plan.containers[0])
        await http_status(sandbox.address)
        assert await container.execute(("sh", "-c", "echo $WORD; exit 4"), 5) == (4, "hi\n")
        await sandbox.remove()

    run(tmp_path, test)


def test_a_volume_is_seen_by_the_function(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/word").write_text("mounted")
    target = tmp_path / "target"
    target.mkdir()
    text = f"word = open({str(target / 'word')!r}).read()\ndef handle(r):\n return [word]"

    async def test(running: Platform) -> None:
        mount = Mount(tmp_path / "volume", str(target))
        async with started(running, function(tmp_path / "f", text, mounts=(mount,))) as sandbox:
            assert await ask(sandbox) == ["mounted"]

    run(tmp_path, test)


@root_only
def test_the_user_is_honored_by_template_and_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os\nwas = os.getuid()\ndef handle(r):\n return [was, os.getuid()]"

    async def test(running: Platform) -> None:
        container = function(folder / "f", text, identity=Identity(user=65534, group=65534))
        async with started(running, container) as sandbox:
            assert await ask(sandbox) == [65534, 65534]

    with tempfile.TemporaryDirectory() as name:  # every session of pytest closes the folder above its own to others
        folder = Path(name)
        folder.chmod(0o755)
        use_open_python(folder, monkeypatch)
        run(folder, test)


@root_only
def test_what_the_user_may_not_enter_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", identity=Identity(user=65534, group=65534))
        sandbox = await running.python.sandbox(pod_plan(running.folder, container))
        with pytest.raises(StartError, match="user 65534 may not enter /") as refused:
            await sandbox.start(container)
        assert refused.value.reason == "CreateContainerConfigError"
        await sandbox.remove()

    run(tmp_path, test)


@pytest.mark.cgroup
def test_a_memory_limit_kills_the_instance_and_not_the_template(tmp_path: Path) -> None:
    text = "def handle(r):\n x = []\n while True: x.append(bytearray(1 << 20))"

    async def test(running: Platform) -> None:
        if not running.link.facts.memory:
            pytest.skip("no writable memory cgroup")
        container = function(tmp_path / "f", text, limits=Limits(memory_bytes=64 << 20))
        sandbox = await running.python.sandbox(pod_plan(running.folder, container))
        instance = await sandbox.start(container)
        with contextlib.suppress(OSError, IndexError):
            await http_status(sandbox.address)
        exit_ = await instance.wait()
        assert (exit_.signal, exit_.oom) == (signal.SIGKILL, True)
        await sandbox.start(container)
        await sandbox.remove()

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("image", "reason", "said"),
    [
        ("docker.io/x", "InvalidImageName", "write dir:/absolute/path"),
        ("dir:relative", "InvalidImageName", "dir:/absolute/path"),
        ("dir:/no/such", "ErrImagePull", "no folder /no/such"),
        ("dir:/tmp@sha256:zz", "InvalidImageName", "64 hexadecimal digits"),
    ],
)
def test_images_that_cannot_be(tmp_path: Path, image: str, reason: str, said: str) -> None:
    async def test(running: Platform) -> None:
        plan = pod_plan(running.folder, ContainerPlan(name="main", image=image))
        with pytest.raises(StartError) as refused:  # noqa: PT012  where it is found out does not matter
            await running.python.prepare(plan, 1)
            await running.python.sandbox(plan)
        if said.startswith("write"):
            with pytest.raises(StartError) as refused:
                await running.python.sandbox(plan)
        assert refused.value.reason == reason
        assert said in refused.value.message

    run(tmp_path, test)


def test_an_environment_of_its_own_is_used(tmp_path: Path) -> None:
    """With a package that only this function has, made here; no index is asked."""
    text = """
        import sys
        import tinything

        def handle(request):
            try:
                import starlette
                foreign = True
            except ImportError:
                foreign = False
            return [tinything.WORD, foreign, sys.prefix]
    """

    async def test(running: Platform) -> None:
        container = function(tmp_path / "f", text)
        (tmp_path / "f/requirements.txt").write_text(f"./{make_wheel(tmp_path / 'f').name}\n")
        said: list[tuple[str, str]] = []
        plan = pod_plan(running.folder, container)
        sandbox = await running.python.sandbox(plan)
        await sandbox.start(plan.containers[0], lambda reason, message: said.append((reason, message)))
        assert await http_status(sandbox.address) == 200
        word, foreign, prefix = await ask(sandbox)
        await sandbox.remove()
        assert (word, foreign) == ("tiny", False)
        assert prefix.startswith(str(running.folder / "data/environments"))
        assert said[0] == ("Installing", "making an environment")
        assert said[-1] == ("Installing", "Installing collected packages: tinything")

    run(tmp_path, test)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def wait_spare(template: int, *others: int) -> int:
    """A child of the template that is no instance."""
    deadline = time.monotonic() + 20
    while True:
        assert time.monotonic() < deadline, "no spare was made"
        await asyncio.sleep(0.01)
        children = Path(f"/proc/{template}/task/{template}/children").read_text().split()
        spares = [pid for pid in map(int, children) if pid not in others and is_alive(pid)]
        if spares:
            return spares[0]


def is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def wait_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        await asyncio.sleep(0.01)


def test_the_interpreter_is_the_platforms(tmp_path: Path) -> None:
    async def test(running: Platform) -> None:
        text = "import sys\ndef handle(r):\n return [sys.version]"
        async with started(running, function(tmp_path / "f", text)) as sandbox:
            assert await ask(sandbox) == [sys.version]

    run(tmp_path, test)
