"""One platform per data folder: a lock that the kernel drops with the process, and that names who holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from core.errors import PermanentError


class FolderLock:
    """An exclusive flock(2) on a file. Held by the open file, so a child that is forked without exec would share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock. PermanentError, naming the holder, where another process has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            message = (
                f"data folder {self._path.parent} is in use by another platform (pid {holder}): "
                "stop that one with `pilotlight down`, or give this one a folder of its own with --data-dir"
            )
            raise PermanentError(message, reason="DataFolderInUse") from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        """Lets go; the file stays, because removing it would let two processes lock two files of one name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
