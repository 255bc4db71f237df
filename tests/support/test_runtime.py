"""The fake runtime keeps the contract of the real ones."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from deploy.runtimes.base import ContainerPlan, Runtime
from tests.support.runtime import FakeProcess, FakeRuntime
from tests.support.runtime_contract import Behavior, RuntimeContract, run_runtime

IMAGES = {
    Behavior.SERVES: "fake/serve",
    Behavior.HANGS: "fake/hang",
    Behavior.DEAF: "fake/deaf",
    Behavior.STUBBORN: "fake/stubborn",
    Behavior.FAILS: "fake/fail",
    Behavior.TALKS: "test/talk",
    Behavior.SHOWS_ENV: "test/env",
    Behavior.MISSING: "test/nowhere",
}


async def talk(process: FakeProcess) -> int:
    process.write(b"one\ntwo\nhalf")
    return 0


async def show_env(process: FakeProcess) -> int:
    process.write(f"{process.env['GREETING']}\n{process.env['PORT']}\n".encode())
    return 0


class TestFakeRuntime(RuntimeContract):
    def running(self, tmp_path: Path) -> AbstractAsyncContextManager[Runtime]:
        return run_runtime(FakeRuntime(programs={"test/talk": talk, "test/env": show_env}))

    def container(self, behavior: Behavior) -> ContainerPlan:
        return ContainerPlan(name="main", image=IMAGES[behavior])
