"""Faults of the platform itself: killed, stopped and restarted under load, without a port, without a disk."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pilotlight.cli.platform import start_detached, stop
from pilotlight.cli.session import NotReady
from pilotlight.datadir import DataDir, is_alive
from pilotlight.options import PlatformOptions
from tests.support.platform import Platform, running_platform
from tests.support.user import QUICK_SLEEP, User, condition, hurry, make_service, quick_server

pytestmark = pytest.mark.usefixtures("nothing_left_running")

CONFIG_MAPS = "api/v1/namespaces/default/configmaps"
KILLS = 3
SEED = 20260801


def platform_on(folder: Path, gateway_port: int = 0, workers: int = 1) -> Platform:
    options = PlatformOptions(DataDir(folder), gateway_port=gateway_port, api_port=0, workers=workers)
    return Platform(start_detached(options))


def kill(platform: Platform) -> None:
    os.kill(platform.running.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(platform.running.pid), "it is killed")


def wait_until(holds: Callable[[], Any], what: str, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def processes_with(word: str) -> list[int]:
    """Every live process whose environment or arguments name it."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if word.encode() in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes():
                    found.append(int(folder.name))
    return [pid for pid in found if is_alive(pid)]


class Writer(threading.Thread):
    """Creates and changes objects until it is told to stop; remembers what was acknowledged."""

    def __init__(self, user: User, prefix: str) -> None:
        super().__init__()
        self._user, self._prefix = user, prefix
        self.acknowledged: dict[str, str] = {}
        self.in_doubt = ""
        self.end = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.end.is_set():
            number += 1
            name = f"{self._prefix}-{number // 3}"
            obj = {"metadata": {"name": name}, "data": {"number": str(number)}}
            self.in_doubt = name
            try:
                if name in self.acknowledged:
                    reply = self._user.ask("PUT", f"{CONFIG_MAPS}/{name}", obj)
                else:
                    reply = self._user.ask("POST", CONFIG_MAPS, obj)
            except (OSError, http.client.HTTPException):
                return
            if reply.status in (200, 201):
                self.acknowledged[name] = str(number)


def test_killed_again_and_again_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    platform = platform_on(tmp_path)
    gateway_port = int(platform.running.gateway.rpartition(":")[2])
    mark = {"MARK": f"orphan-of-{tmp_path.name}-{os.getpid()}"}
    user = User(platform)
    user.create(make_service("sleeps", quick_server(), annotations={"initial-scale": "1", **QUICK_SLEEP}, env=mark))
    user.create(make_service("stays", annotations={"min-scale": "2"}, env=mark))
    for name in ("sleeps", "stays"):
        user.until_ready(name)
    known: dict[str, str] = {}
    for turn in range(KILLS):
        writers = [Writer(user, f"w{turn}-{index}") for index in range(3)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.05, 0.8))  # the moment of the fault
        before = set(processes_with(mark["MARK"]))
        kill(platform)
        for writer in writers:
            writer.join()
            known |= writer.acknowledged
        platform = platform_on(tmp_path, gateway_port)
        user = User(platform)
        maps = {each["metadata"]["name"]: each["data"]["number"] for each in user.items(CONFIG_MAPS) if "data" in each}
        in_doubt = {writer.in_doubt for writer in writers}
        lost = {name: number for name, number in known.items() if maps.get(name) != number and name not in in_doubt}
        assert not lost
        assert all(int(maps[name]) >= int(known[name]) for name in in_doubt & known.keys())
        known = maps
        assert condition(user.service("sleeps"))["status"] == "True", "what was ready is ready without a start"
        assert user.call("sleeps").status == 200
        assert user.call("stays").status == 200
        user.until_running("stays", 2)
        wait_until(partial(have_ended, before), "no orphan survives")
    stop(platform.running)
    wait_until(lambda: not processes_with(mark["MARK"]), "nothing outlives the platform")


def have_ended(pids: Iterable[int]) -> bool:
    return not any(is_alive(pid) for pid in pids)


def test_a_sleeping_service_is_ready_after_a_restart_without_a_start(tmp_path: Path) -> None:
    with running_platform(tmp_path) as platform:
        user = User(platform)
        hurry(user)
        user.deploy(make_service("sleeps", annotations=QUICK_SLEEP))
        user.until_asleep("sleeps")
        before = user.service("sleeps")["status"]
    platform = platform_on(tmp_path)
    try:
        user = User(platform)
        status = user.service("sleeps")["status"]
        assert condition({"status": status})["status"] == "True"
        assert status["latestReadyRevisionName"] == before["latestReadyRevisionName"]
        assert not user.pods()
        assert user.call("sleeps").status == 200
    finally:
        stop(platform.running)


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_under_way_survive_down(tmp_path: Path, workers: int) -> None:
    platform = platform_on(tmp_path, workers=workers)
    user = User(platform)
    user.deploy(make_service("slow"))
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(user.call, "slow", "/slow/2") for _ in range(4)]
        user.until("they are inside", lambda: user.call("slow", "/busy").text == "4")
        stop(platform.running)
        assert [each.result().status for each in running] == [200] * 4


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_can_connect_while_it_comes_back_is_served(tmp_path: Path, workers: int) -> None:
    """From the first connection that is not refused: it waits in the backlog until routes are there."""
    platform = platform_on(tmp_path, workers=workers)
    port, user = int(platform.running.gateway.rpartition(":")[2]), User(platform)
    names = [f"hello-{number}" for number in range(10)]
    for name in names:
        user.create(make_service(name, quick_server()))
    for name in names:
        user.until_ready(name)
    kill(platform)
    wait_until(lambda: refuses(port), "the dead one's sockets are closed")

    def call(name: str) -> int:
        deadline = time.monotonic() + 20
        while True:
            try:
                return user.call(name).status
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.002)

    with ThreadPoolExecutor(len(names)) as pool:
        answers = [pool.submit(call, name) for name in names]
        platform = platform_on(tmp_path, port, workers)
        try:
            assert [each.result() for each in answers] == [200] * len(names)
        finally:
            stop(platform.running)


def test_a_busy_port_is_one_sentence_that_names_the_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for ports, option in (({"gateway_port": port, "api_port": 0}, "--gateway-port"),
                              ({"gateway_port": 0, "api_port": port}, "--api-port")):  # fmt: skip
            with pytest.raises(NotReady) as problem:
                start_detached(PlatformOptions(DataDir(tmp_path), **ports))
            assert f"port {port} on 127.0.0.1 is in use" in str(problem.value)
            assert option in str(problem.value)
            assert DataDir(tmp_path).running() is None


def test_a_second_platform_on_the_folder_refuses_also_when_nobody_told_it(tmp_path: Path) -> None:
    with running_platform(tmp_path) as platform:
        running = DataDir(tmp_path).running_file
        text = running.read_text()
        running.unlink()
        with pytest.raises(NotReady, match="another"):
            start_detached(PlatformOptions(DataDir(tmp_path), gateway_port=0, api_port=0))
        running.write_text(text)
        assert User(platform).get("version")["major"]


def test_a_full_disk_refuses_writes_and_serves_on(tmp_path: Path) -> None:
    """RLIMIT_FSIZE in the place of a full disk: the store cannot grow, everything else goes on."""
    with running_platform(tmp_path) as platform:
        user = User(platform)
        user.deploy(make_service("hello", quick_server()))
        database = DataDir(tmp_path).database
        grown = max(path.stat().st_size for path in tmp_path.glob(f"{database.name}*"))
        was = resource.prlimit(platform.running.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(platform.running.pid, resource.RLIMIT_FSIZE, (grown + 65_536, was[1]))
        reply = None
        for number in range(200):
            obj = {"metadata": {"name": f"big-{number}"}, "data": {"x": "y" * 100_000}}
            reply = user.ask("POST", CONFIG_MAPS, obj)
            if reply.status != 201:
                break
        assert reply is not None
        assert (reply.status, reply.json["kind"]) == (507, "Status") or reply.status in (500, 503), reply.text
        assert "disk" in reply.json["message"] or "store" in reply.json["message"]
        assert user.call("hello").status == 200
        assert user.service("hello")["status"]
        resource.prlimit(platform.running.pid, resource.RLIMIT_FSIZE, was)
        user.until("it writes again", lambda: user.ask("POST", CONFIG_MAPS, {"metadata": {"name": "after"}}).status
                   in (201, 409))  # fmt: skip
