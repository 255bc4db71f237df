"""Makes a platform small again when it has become quiet.

The store keeps what was written last in parsed form, garbage that has grown old waits long to be found, and glibc keeps
what was freed: a platform that once came back to thousands of objects would stay as large as it was at that moment. One
look every few seconds; something is done at the first one that finds nothing written since the one before.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Protocol

from core.clock import Clock
from core.tasks import Started

LOOK_EVERY_S = 2.0
# Python's own third threshold: of the middle generation's collections, after which the oldest is due.
_OLD_DUE = 10


class Settling(Protocol):
    """A store of this machine."""

    @property
    def resource_version(self) -> int: ...

    def settle(self) -> None: ...


class Thrift:
    def __init__(self, store: Settling, clock: Clock, trim: Callable[[], object] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._trim = trim or find_trim()

    async def run(self, started: Started) -> None:
        """Until cancelled."""
        started()
        seen, is_small = -1, False
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            newest = self._store.resource_version
            if newest != seen:
                seen, is_small = newest, False
            elif not is_small:
                self._store.settle()
                _find_old_garbage()
                self._trim()
                is_small = True


def _find_old_garbage() -> None:
    """What `pilotlight/serve` has put off while there was much to do. It takes a few hundredths of a second."""
    if gc.get_count()[2] >= _OLD_DUE:
        gc.collect()


def find_trim() -> Callable[[], object]:
    """malloc_trim(3); nothing where the C library is another than glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: trim(0)) if trim is not None else lambda: None
