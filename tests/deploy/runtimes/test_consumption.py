"""What real processes use; with and without a cgroup of their own is the machine's matter, the numbers are the same."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.runtimes.base import Used
from deploy.runtimes.cgroups import Cgroups, Group
from deploy.runtimes.consumption import used_by

BURN_S = 0.3
HELD_BYTES = 40 << 20
SCRIPT = f"""
import os, sys, time
held = bytearray(os.urandom(1)) * {HELD_BYTES}
child = os.fork()
while sum(os.times()[:2]) < {BURN_S}:
    pass
if child:
    print("ready", flush=True)
time.sleep(600)
"""


@contextmanager
def burner() -> Iterator[int]:
    """A process with a child: each burns and sleeps then, and they share what they hold."""
    command = [sys.executable, "-I", "-S", "-c", SCRIPT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline() == b"ready\n"
            yield it.pid
        finally:
            os.killpg(it.pid, 9)


def burnt(pid: int, instance: str) -> Used:
    """What both have used, once the child is as far as its parent."""
    deadline = time.monotonic() + 20
    while (used := used_by(pid, instance)) is not None and used.cpu_s < BURN_S * 1.8:
        assert time.monotonic() < deadline, used
        time.sleep(0.02)
    assert used is not None
    return used


def test_by_proc() -> None:
    with burner() as pid:
        used = burnt(pid, "none.1")
        assert used.cpu_s < 60
        assert HELD_BYTES < used.memory_bytes < HELD_BYTES * 1.6, "what two share counts once"


@pytest.mark.cgroup
@pytest.mark.parametrize("limited", [False, True], ids=["unlimited", "limited"])
def test_by_cgroup(limited: bool) -> None:
    groups = Cgroups(f"pilotlight-test-{os.getpid()}")
    group = groups.make("uid.main.7", limited)
    if group is None:
        pytest.skip("no writable cgroup hierarchy")
    try:
        with burner_in(group) as pid:
            used = burnt(pid, "uid.main.7")
            assert used.cpu_s < 60
            assert HELD_BYTES < used.memory_bytes < HELD_BYTES * 1.6
            assert used_by(pid, "uid.main.8") is not None, "by /proc, for the group is another's"
    finally:
        groups.remove()


@contextmanager
def burner_in(group: Group) -> Iterator[int]:
    """It enters before it runs."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SCRIPT],
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: group.enter(False),
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


def test_one_that_is_gone() -> None:
    with burner() as pid:
        pass
    assert used_by(pid, "none.1") is None
