"""The static C programs of `images/`, compiled once per machine and user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "images"


def compiled_server() -> Path:
    """An HTTP server."""
    return compiled("server")


def compiled_probe() -> Path:
    """Tells what it sees, word by word."""
    return compiled("probe")


def sources_digest() -> str:
    """Changes with any of the programs."""
    texts = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.c")))
    return hashlib.sha256(texts).hexdigest()[:12]


@cache
def compiled(name: str, folder: Path = SOURCES) -> Path:
    """The binary. Skips the test where there is no C compiler."""
    source = folder / f"{name}.c"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (apt-get install gcc)")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    binary = Path(tempfile.gettempdir()) / f"pilotlight-tests-{os.getuid()}" / f"{name}-{digest}"
    if not binary.exists():
        binary.parent.mkdir(mode=0o755, exist_ok=True)
        fresh = binary.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-static", "-o", str(fresh), str(source)], check=True)
        fresh.replace(binary)
    return binary
