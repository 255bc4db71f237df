"""An OCI image from a function's folder: the same content, requirements and host as runtime `python` runs.

`pilotlight build` calls it. The requirements are installed here, not in the engine, so that a build needs nothing but
the base image: a Python of this platform's own version, for the packages are made for it.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.clients.engine import Engine
from deploy.runtimes.environments import install_into
from deploy.runtimes.folders import Snapshot

HOST_FOLDER = Path(__file__).parent / "runtimes" / "function"
APP, HOST, PACKAGES = "/app", "/opt/pilotlight/host", "/opt/pilotlight/packages"
USER = "65532:65532"  # "nonroot", as in distroless images
DEFAULT_BASE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
BESIDES = ("httptools",)  # what the host itself needs

Files = Mapping[str, tuple[bytes, int]]
"""Path in the build context → content and mode."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What to build. `entry` names the function where it cannot be guessed (`module:name`)."""

    tag: str
    base: str = DEFAULT_BASE
    entry: str = ""


async def build_function_image(engine: Engine, plan: ImagePlan, snapshot: Snapshot, tell: Tell) -> None:
    """Builds and tags it. StartError where the requirements cannot be had, EngineRefused for the engine's part."""
    with TemporaryDirectory(prefix="pilotlight-build-") as scratch:
        packages = Path(scratch) / "packages"
        versions = [f"{name}=={importlib.metadata.version(name)}" for name in BESIDES]
        await install_into(packages, snapshot.folder, versions, tell)
        files: dict[str, tuple[bytes, int]] = {"Dockerfile": (make_dockerfile(plan).encode(), 0o644)}
        for prefix, folder in (("app", snapshot.folder), ("host", HOST_FOLDER), ("packages", packages)):
            files |= _read_tree(folder, prefix)
    async for line in engine.build(plan.tag, files):
        tell(line)


def make_dockerfile(plan: ImagePlan) -> str:
    """The recipe; everything that it copies is in the context already."""
    command: Sequence[str] = ["python3", "-P", f"{HOST}/host.py", APP]
    if plan.entry:
        command = [*command, "--entry", plan.entry]
    return "\n".join(
        (
            f"FROM {plan.base}",
            f"COPY packages {PACKAGES}",
            f"COPY host {HOST}",
            f"COPY app {APP}",
            f"WORKDIR {APP}",
            f"ENV PYTHONPATH={PACKAGES} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
            f"USER {USER}",
            f"ENTRYPOINT {json.dumps(command)}",
            "",
        )
    )


def _read_tree(folder: Path, prefix: str) -> Files:
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}": (path.read_bytes(), 0o755 if _runs(path) else 0o644)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _runs(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o111)
