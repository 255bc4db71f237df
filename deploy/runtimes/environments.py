"""Python environments for functions: what `requirements.txt` or `pyproject.toml` asks for, installed once.

An environment is named by a hash of everything that went into it (the requirements, the files they name, the
interpreter), built beside its place and renamed into it, so a half-made one is never used. Functions that ask for
nothing run on the platform's own interpreter and packages (`base`), with no installation at all.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from deploy.runtimes.base import StartError
from deploy.runtimes.function.discovery import parse
from deploy.runtimes.installing import useful

_log = structlog.get_logger()

INSTALL_S_MAX = 900.0
LINE_BYTES_MAX = 1 << 20  # of pip's output; a compiler's command line may be long
# What Knative func and Google's builders provide without being asked; installed where a function imports it and its
# own requirements do not bring it.
IMPLIED = {"functions_framework": "functions-framework>=3,<4", "cloudevents": "cloudevents>=2.2,<3"}
PROVIDED_BY_BASE = frozenset({"cloudevents"})
FILE_REFERENCE = re.compile(
    r"^(?:-r|-c|--requirement|--constraint)[ =]+(\S+)|^(\.{0,2}/\S+|[^\s@]+\.(?:whl|tar\.gz|zip))"
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """`python` is its interpreter. `digest` is "" for the platform's own."""

    digest: str
    python: str
    is_base: bool = False

    @property
    def bin(self) -> str:
        return os.path.dirname(self.python)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What to install: pip's arguments, and modules that the function imports without asking for them."""

    arguments: tuple[str, ...]
    implied: tuple[str, ...]  # keys of IMPLIED
    digest: str


BASE = Environment("", sys.executable, is_base=True)


def read_requirements(folder: Path, env_names: Sequence[str] = ()) -> Requirements | None:
    """What the function in `folder` needs; None where the platform's own packages do. StartError."""
    arguments: tuple[str, ...] = ()
    content = hashlib.sha256()
    listed = folder / "requirements.txt"
    project = folder / "pyproject.toml"
    if listed.is_file():
        if _hash_requirements(listed, folder, content):
            arguments = ("-r", "requirements.txt")
    elif project.is_file():
        arguments = _project_dependencies(project)
        content.update(json.dumps(arguments).encode())
    implied = _implied(folder, env_names)
    if not arguments and not set(implied) - PROVIDED_BY_BASE:
        return None
    interpreter = f"{sys.version} {sys.base_prefix} {sysconfig.get_platform()}"
    content.update(json.dumps([interpreter, implied, [IMPLIED[name] for name in implied]]).encode())
    return Requirements(arguments, implied, content.hexdigest()[:32])


def _hash_requirements(path: Path, folder: Path, content: hashlib._Hash) -> bool:
    """Hashes the file and the files it names; whether it asks for anything."""
    asks = False
    for line in path.read_text(errors="replace").splitlines():
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        asks = True
        content.update(text.encode() + b"\n")
        if match := FILE_REFERENCE.match(text):
            named = folder / (match[1] or match[2]).partition("[")[0]
            if match[1] and named.is_file() and named != path:
                _hash_requirements(named, folder, content)
            elif named.is_file():
                content.update(named.read_bytes())
            elif named.is_dir():
                for inner in sorted(file for file in named.rglob("*") if file.is_file()):
                    content.update(f"{inner.relative_to(named)}\n".encode() + inner.read_bytes())
    return asks


def _project_dependencies(path: Path) -> tuple[str, ...]:
    try:
        project = tomllib.loads(path.read_text()).get("project", {})
        dependencies = project.get("dependencies", [])
        assert all(isinstance(item, str) for item in dependencies)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AssertionError, TypeError) as error:
        raise StartError("CreateContainerConfigError", f"pyproject.toml is not valid: {error}") from None
    return tuple(dependencies)


def _implied(folder: Path, env_names: Sequence[str]) -> tuple[str, ...]:
    """The modules of IMPLIED that the function imports; FUNCTION_TARGET alone asks for Functions Framework, too."""
    found = {"functions_framework"} if "FUNCTION_TARGET" in env_names else set()
    for file in (*folder.glob("*.py"), *folder.glob("function/*.py"), *folder.glob("src/*.py")):
        for node in ast.walk(parse(file)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            found.update(root for name in names if (root := name.partition(".")[0]) in IMPLIED)
    if "functions_framework" in found:
        found.discard("cloudevents")  # it brings the release that it works with
    return tuple(sorted(found))


class Environments:
    """The environments of one data folder, below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[str, asyncio.Lock] = {}
        self._listeners: dict[str, list[Progress]] = {}

    def clear_unfinished(self) -> None:
        """At the start of the platform: what a killed installation left."""
        for folder in self._root.glob("tmp-*"):
            shutil.rmtree(folder, ignore_errors=True)

    async def ensure(
        self, folder: Path, env_names: Sequence[str] = (), progress: Progress | None = None
    ) -> Environment:
        """The environment of the function in `folder`, installed if need be. Who asks for one that is being installed
        waits for it, and hears the same progress. StartError with pip's last lines."""
        wanted = await asyncio.to_thread(read_requirements, folder, env_names)
        if wanted is None:
            return BASE
        listeners = self._listeners.setdefault(wanted.digest, [])
        if progress is not None:
            listeners.append(progress)
        try:
            async with self._locks.setdefault(wanted.digest, asyncio.Lock()):
                place = self._root / wanted.digest
                if not place.is_dir():
                    await self._install(wanted, folder, place)
                os.utime(place)
                return Environment(wanted.digest, str(place / "bin/python"))
        finally:
            if progress is not None:
                listeners.remove(progress)

    def collect(self, keep: frozenset[str], before: float) -> list[str]:
        """Removes environments that are not in `keep` and were last asked for before that time; their digests."""
        removed = []
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if folder.name not in keep and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
        return removed

    async def _install(self, wanted: Requirements, folder: Path, place: Path) -> None:
        made = _make_folder(self._root)
        python = str(made / "bin/python")
        tell = self._teller(wanted.digest)
        try:
            async with asyncio.timeout(INSTALL_S_MAX):
                tell("making an environment")
                own_pip = importlib.util.find_spec("pip") is not None
                without = ("--without-pip",) if own_pip else ()
                await _run((sys.executable, "-m", "venv", *without, str(made)), folder, tell)
                pip = (sys.executable, "-m", "pip", "--python", python) if own_pip else (python, "-m", "pip")
                install = (*pip, "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off")
                if wanted.arguments:
                    await _run((*install, *wanted.arguments), folder, tell)
                for name in wanted.implied:
                    if not _has_module(made, name):
                        tell(f"{name} is imported but not required: installing {IMPLIED[name]}")
                        await _run((*install, IMPLIED[name]), folder, tell)
            await asyncio.to_thread(_move, made, place)
            tell("ready")
        except TimeoutError:
            raise StartError(
                "ErrImagePull", f"the requirements were not installed within {INSTALL_S_MAX:.0f} s"
            ) from None
        finally:
            await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)  # thousands of files

    def _teller(self, digest: str) -> Progress:
        def tell(line: str) -> None:
            _log.debug("environment", digest=digest, line=line)
            for listener in list(self._listeners.get(digest, ())):
                listener(line)

        return tell


async def install_into(target: Path, folder: Path, besides: Sequence[str], tell: Progress) -> None:
    """What the function in `folder` needs, and `besides`, as plain packages in `target`: for an image. StartError."""
    wanted = await asyncio.to_thread(read_requirements, folder)
    asked = list(besides)
    if wanted is not None:
        asked += [*wanted.arguments, *(IMPLIED[name] for name in wanted.implied)]
    else:
        asked += [IMPLIED[name] for name in await asyncio.to_thread(_implied, folder, ())]
    pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off")
    await _run((*pip, "--no-compile", "--target", str(target), *asked), folder, tell)


async def _run(argv: Sequence[str], cwd: Path, tell: Progress) -> None:
    """Runs a command to its end and passes its lines on. StartError with the last of them."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # with the compilers that it runs, so that they end with it
        limit=LINE_BYTES_MAX,
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            if line:
                lines.append(line)
                tell(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise StartError("ErrImagePull", "the requirements cannot be installed:\n" + useful(lines))


def _make_folder(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="tmp-", dir=root))
    made.chmod(0o755)
    return made


def _has_module(environment: Path, name: str) -> bool:
    site = next((environment / "lib").glob("python*/site-packages"))
    return (site / name).exists() or (site / f"{name}.py").exists()


def _move(made: Path, place: Path) -> None:
    """Into its place; the scripts in bin/ name their interpreter by its path, so they are told the new one."""
    for script in (made / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if os.fsencode(made) in content:
            script.write_bytes(content.replace(os.fsencode(made), os.fsencode(place)))
    with contextlib.suppress(FileNotFoundError):
        config = made / "pyvenv.cfg"
        config.write_text(config.read_text().replace(str(made), str(place)))
    made.rename(place)
