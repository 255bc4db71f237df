"""Service names for instances: the text of the hosts file (`deploy.hostsfile`), and who keeps it up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json
from core.resources.serving import DOMAIN_MAPPING, ROUTE
from core.store.memory import MemoryStore
from deploy.hostsfile import BEGIN, host_of, hosts_text, local_names
from deploy.names import HostsFile, Names

MACHINE = "127.0.0.1 localhost\n::1 localhost"


def test_the_text() -> None:
    text = hosts_text(MACHINE, "127.0.0.9", [("b.test", "b.test"), ("a.test", "", "x.test"), ()])
    assert text == f"{MACHINE}\n{BEGIN}127.0.0.9 a.test x.test\n127.0.0.9 b.test\n"
    assert hosts_text(text, "127.0.0.9", []) == f"{MACHINE}\n{BEGIN}", "ours is not taken for the machine's"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.default.localhost:8080", "a.default.localhost"),
        ("http://a.default.localhost/x", "a.default.localhost"),
        ("https://a.test", "a.test"),
        ("", ""),
    ],
)
def test_host_of(url: str, host: str) -> None:
    assert host_of(url) == host


def test_local_names() -> None:
    assert local_names("a", "b") == ("a.b.svc.cluster.local", "a.b.svc", "a.b")


def test_names_come_change_and_go_in_every_file(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    machine.write_text(MACHINE)
    files = (HostsFile(tmp_path / "run/hosts", "127.0.0.1"), HostsFile(tmp_path / "run/containers", "10.88.0.1"))

    async def until(holds: Callable[[str], bool]) -> str:
        async with asyncio.timeout(10):
            while not holds(files[0].path.read_text()):
                await asyncio.sleep(0.005)
        return files[0].path.read_text()

    def route(url: str, tag: str = "") -> Json:
        target = {"url": f"http://{tag}-{url}", "tag": tag} if tag else {}
        return {
            "metadata": {"name": "hello", "namespace": "default"},
            "spec": {},
            "status": {"url": f"http://{url}:8080", "traffic": [target]},
        }

    async def main() -> None:
        store = MemoryStore((ROUTE, CORE_SERVICE, DOMAIN_MAPPING), SystemClock())
        names = Names(store, SystemClock(), files, machine)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            started = asyncio.Event()
            task = group.create_task(names.run(started.set))
            await started.wait()
            inode = files[0].path.stat().st_ino
            assert files[0].path.read_text() == f"{MACHINE}\n{BEGIN}"
            await store.create(ROUTE, route("hello.default.localhost", "blue"))
            text = await until(lambda text: "hello.default.localhost" in text)
            assert set(text.splitlines()[-1].split()) == {
                "127.0.0.1", "hello.default.svc.cluster.local", "hello.default.svc", "hello.default",
                "blue-hello.default.svc.cluster.local", "blue-hello.default.svc", "blue-hello.default",
                "hello.default.localhost", "blue-hello.default.localhost",
            }  # fmt: skip
            assert "10.88.0.1 hello.default.svc.cluster.local" in files[1].path.read_text()
            await store.create(CORE_SERVICE, {"metadata": {"name": "db", "namespace": "x"}, "spec": {}})
            await store.create(DOMAIN_MAPPING, {"metadata": {"name": "my.test", "namespace": "x"}, "spec": {}})
            await until(lambda text: "db.x.svc.cluster.local" in text and " my.test\n" in text)
            await store.update(ROUTE, route("other.test"), "status")
            await until(lambda text: "other.test" in text and "hello.default.localhost" not in text)
            await store.delete(ROUTE, "hello", "default")
            await until(lambda text: "hello" not in text)
            assert files[0].path.stat().st_ino == inode, "rewritten in place: it is mounted"
            task.cancel()

    asyncio.run(main())
