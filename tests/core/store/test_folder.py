from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import PermanentError
from core.store.folder import FolderLock

HOLD = """
import sys
from pathlib import Path
from core.store.folder import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_the_holder_is_named_and_its_death_frees_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(PermanentError, match=rf"\(pid {holder.pid}\)"):
            FolderLock(path).acquire()
        holder.kill()
    lock = FolderLock(path)
    lock.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()
    again = FolderLock(path)
    again.acquire()
    again.release()
