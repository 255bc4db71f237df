"""A base image with this very Python, FROM scratch: what `pilotlight build` would take from a registry."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from core.clients.engine import Engine

TAG = f"localhost/pilotlight-python:{hashlib.sha256(f'{sys.base_prefix} {sys.version}'.encode()).hexdigest()[:16]}"
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "__pycache__"}
STUBS = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libgcc_s.so.1")


async def build_python_base(engine: Engine) -> str:
    """The image's name; built once per engine."""
    if await engine.image(TAG) is None:
        async for _ in engine.build(TAG, _context()):
            pass
    return TAG


def _context() -> dict[str, tuple[bytes, int]]:
    interpreter = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    recipe = f"FROM scratch\nCOPY root /\nENV PATH={interpreter.parent}:/usr/bin:/bin\n"
    files = {"Dockerfile": (recipe.encode(), 0o644)}
    libraries = {interpreter, *_libraries(interpreter)}
    for path in standard.rglob("*"):
        if path.is_file() and not LEFT_OUT & set(path.relative_to(standard).parts):
            files[f"root{path}"] = (path.read_bytes(), 0o644)
            if path.suffix == ".so":
                libraries |= _libraries(path)
    for name in STUBS:  # wheels are linked against them, however empty glibc has made them
        libraries |= {path.with_name(name) for path in libraries if path.with_name(name).exists()}
    for path in libraries:
        files[f"root{path}"] = (path.read_bytes(), 0o755)
    files[f"root{interpreter.parent}/python3"] = (interpreter.read_bytes(), 0o755)
    files["root/tmp/.keep"] = (b"", 0o644)
    return files


def _libraries(binary: Path) -> set[Path]:
    """Shared libraries by the names under which the loader looks for them."""
    told = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", told)}
