"""A Python that users other than root may run, wherever this one and this checkout are (below /root, say)."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from deploy.runtimes import environments, python
from deploy.runtimes.environments import Environment

LEFT_OUT = shutil.ignore_patterns("site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter")


def use_open_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions without requirements run on it until the test ends. `folder` must be open to all, itself."""
    base = Path(sys.executable).resolve()
    if not _is_open_to_all(base):
        base = _copy_of_base(base, folder / "base")
    venv = folder / "venv"
    subprocess.run([base, "-m", "venv", "--without-pip", venv], check=True)
    httptools = importlib.util.find_spec("httptools")
    assert httptools is not None
    assert httptools.origin is not None
    (packages,) = venv.glob("lib/python*/site-packages")
    shutil.copytree(Path(httptools.origin).parent, packages / "httptools")
    shutil.copytree(python.HERE / "function", folder / "runtimes" / "function")
    monkeypatch.setattr(environments, "BASE", Environment("", str(venv / "bin/python"), is_base=True))
    monkeypatch.setattr(python, "HERE", folder / "runtimes")


def _is_open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


def _copy_of_base(interpreter: Path, folder: Path) -> Path:
    """The interpreter and its standard library, which it finds by its own place."""
    standard = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard, folder / standard.relative_to(sys.base_prefix), ignore=LEFT_OUT)
    copy = folder / "bin" / interpreter.name
    copy.parent.mkdir()
    shutil.copy2(interpreter, copy)
    return copy
