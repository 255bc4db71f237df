"""The static C server of `images/server.c`, compiled once per machine and user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "images/server.c"


@cache
def compiled_server() -> Path:
    """The binary. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (apt-get install gcc)")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    binary = Path(tempfile.gettempdir()) / f"pilotlight-tests-{os.getuid()}" / f"server-{digest}"
    if not binary.exists():
        binary.parent.mkdir(mode=0o755, exist_ok=True)
        fresh = binary.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-static", "-o", str(fresh), str(SOURCE)], check=True)
        fresh.replace(binary)
    return binary
