"""What `kubectl logs` reads: one container's output on disk, in the format of the container runtime interface.

Written by whoever holds the container's output (the spawner, the reader of an engine's stream); read by `deploy/logs`.
Imports only the standard library, because the spawner loads it.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

LOG_BYTES_MAX = 10 << 20  # kubelet's containerLogMaxSize
LOG_FILES = 3  # the one being written, and .1 and .2


class LogFile:
    """One container's output in the format of the container runtime interface, rotated by size.

    A line is `<RFC 3339 time, ns> <stdout|stderr> <F|P> <text>`; P marks a piece whose line goes on. All lines of one
    read share its time, which makes stamping a `bytes.replace`: 1.5 GB/s, against 0.1 for a loop over lines.
    """

    def __init__(self, path: str | Path, bytes_max: int = LOG_BYTES_MAX, files: int = LOG_FILES) -> None:
        self.path, self._bytes_max, self._files = str(path), bytes_max, files
        self._second, self._stamp = -1, b""
        self._open()

    def write(self, stream: bytes, data: bytes) -> None:
        """`data` as it was read from `stream` (b"stdout" or b"stderr"). A full disk loses lines, never the instance."""
        prefix = self._now() + stream
        cut = data.rfind(b"\n") + 1
        out = b""
        if cut:
            out = prefix + b" F " + data[: cut - 1].replace(b"\n", b"\n" + prefix + b" F ") + b"\n"
        if cut < len(data):
            out += prefix + b" P " + data[cut:] + b"\n"
        with contextlib.suppress(OSError):
            if self._size + len(out) > self._bytes_max and self._size:
                self._rotate()
            self._size += os.write(self._fd, out)

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path if number == 1 else f"{self.path}.{number - 1}", f"{self.path}.{number}")
        os.close(self._fd)
        self._open()

    def _now(self) -> bytes:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second:
            self._second, self._stamp = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()
        return b"%b.%09dZ " % (self._stamp, nanoseconds)
