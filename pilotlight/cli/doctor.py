"""doctor: what this machine has, and what each missing thing costs."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from core.clients.engine import Engine, EngineDown, EngineFacts, candidate_urls
from pilotlight.cli.output import print_json, say
from pilotlight.cli.session import Session
from pilotlight.datadir import DataDir

PYTHON_MIN = (3, 11)
ENGINE_ANSWERS_S = 3.0
DISK_FREE_MIN_BYTES = 200 * 1024 * 1024


class Verdict(StrEnum):
    OK = "ok"
    MISSING = "missing"  # something is not to be had; everything else works
    PROBLEM = "problem"  # the platform will not start


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, and, where it is not right, what that costs and what to do."""

    subject: str
    verdict: Verdict
    found: str
    cost: str = ""


def doctor_command(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Say what was found on this machine, and what each missing thing costs."""
    session: Session = context.obj
    findings = list(examine(session.data_dir))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {"ok": "✓", "missing": "-", "problem": "✗"}[finding.verdict]
            say(f"{mark} {finding.subject:<12} {finding.found}")
            if finding.cost:
                say(f"  {'':<12} {finding.cost}")
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise typer.Exit(1)


def examine(data_dir: DataDir) -> Iterator[Finding]:
    yield _python()
    yield _data_dir(data_dir)
    yield from _ports(data_dir)
    yield _engine()
    yield _cgroups()
    yield _names()
    yield _kubectl()


def _python() -> Finding:
    version = f"{platform.python_implementation()} {platform.python_version()}"
    if tuple(map(int, platform.python_version_tuple()[:2])) < PYTHON_MIN:
        return Finding("Python", Verdict.PROBLEM, version, "3.11 or newer is needed.")
    loop = _version("uvloop")
    return Finding("Python", Verdict.OK, f"{version}, uvloop {loop or 'absent'}")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _data_dir(data_dir: DataDir) -> Finding:
    folder = data_dir.root
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        return Finding("data folder", Verdict.PROBLEM, f"{folder} cannot be written", "Choose one with --data-dir.")
    free = shutil.disk_usage(existing).free
    text = f"{folder}, {free // 2**20:,} MiB free"
    if free < DISK_FREE_MIN_BYTES:
        return Finding("data folder", Verdict.MISSING, text, "New objects are refused (507) when the disk is full.")
    return Finding("data folder", Verdict.OK, text)


def _ports(data_dir: DataDir) -> Iterator[Finding]:
    if running := data_dir.running():
        yield Finding("platform", Verdict.OK, f"running, pid {running.pid}: {running.gateway}")
        return
    for purpose, port in (("gateway", 8080), ("api", 7443)):
        if _is_free(port):
            yield Finding(f"{purpose} port", Verdict.OK, f"{port} is free")
        else:
            advice = f"`pilotlight up --{purpose}-port 0` picks a free one."
            yield Finding(f"{purpose} port", Verdict.MISSING, f"{port} is in use by another program", advice)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _engine() -> Finding:
    try:
        facts = asyncio.run(_ask_engine())
    except (EngineDown, TimeoutError) as error:
        return Finding(
            "engine",
            Verdict.MISSING,
            str(error) or f"no answer within {ENGINE_ANSWERS_S:g} s at {', '.join(candidate_urls(os.environ))}",
            "Container images cannot run; folders (python) and commands (process) can. "
            "Start one with `systemctl start podman.socket`, or set DOCKER_HOST.",
        )
    return Finding("engine", Verdict.OK, f"{facts.name} {facts.version} at {facts.url}")


async def _ask_engine() -> EngineFacts:
    engine = Engine(os.environ)
    try:
        async with asyncio.timeout(ENGINE_ANSWERS_S):
            return await engine.connect()
    finally:
        await engine.close()


def _cgroups() -> Finding:
    writable = [path for path in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")) if os.access(path, os.W_OK)]
    if writable:
        return Finding("cgroups", Verdict.OK, f"{writable[-1]} can be written")
    return Finding(
        "cgroups",
        Verdict.MISSING,
        "cannot be written by this user",
        "Memory and CPU limits of process and python functions are not enforced; containers' are, by the engine.",
    )


def _names() -> Finding:
    checks: list[Callable[[], str]] = [_root, _user_namespaces]
    found = next((text for check in checks if (text := check())), "")
    if found:
        return Finding("names", Verdict.OK, found)
    return Finding(
        "names",
        Verdict.MISSING,
        "neither root nor user namespaces",
        "Functions reach each other through the gateway's address and a Host header only, not by name.",
    )


def _root() -> str:
    return "cluster-local names resolve in functions (root)" if os.geteuid() == 0 else ""


def _user_namespaces() -> str:
    limit = Path("/proc/sys/user/max_user_namespaces")
    switch = Path("/proc/sys/kernel/unprivileged_userns_clone")
    allowed = limit.exists() and int(limit.read_text()) > 0
    if switch.exists():
        allowed = allowed and switch.read_text().strip() == "1"
    return "cluster-local names resolve in functions (user namespaces)" if allowed else ""


def _kubectl() -> Finding:
    path = shutil.which("kubectl")
    if path:
        return Finding("kubectl", Verdict.OK, path)
    return Finding("kubectl", Verdict.MISSING, "not on the PATH", "Not needed: `pilotlight` has what daily work takes.")
