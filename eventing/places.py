"""At which URLs streams of ours take events: what goes from one to another is appended there, and not sent.

The doors write it; dispatchers ask for each destination of theirs. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit


class Places:
    """Streams by host and path."""

    def __init__(self) -> None:
        self._streams: dict[str, str] = {}

    def put(self, host: str, path: str, stream: str) -> None:
        self._streams[host + path] = stream

    def drop(self, host: str, path: str) -> None:
        self._streams.pop(host + path, None)

    def at(self, url: str) -> str | None:
        """The stream that takes events there; None where it is somebody else's."""
        return self._streams.get(_place(url))


@lru_cache(maxsize=4096)
def _place(url: str) -> str:
    """Host and path in one spelling; a port and a query do not count."""
    parts = urlsplit(url)
    return f"{(parts.hostname or '').lower()}{parts.path or '/'}"
