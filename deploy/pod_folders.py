"""The folders of Pods: a few are made ahead, so that a start only gives one its name.

Used by `deploy/node` and the loops of its Pods. A folder of its own, one for logs and one for scratch, made one after
the other, are a millisecond of a cold start on a common filesystem; one rename is a tenth of that.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections import deque
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final

from deploy.podplan import LOGS, SCRATCH
from deploy.runtimes.base import TEMPORARY

SPARES: Final = 4
REFILL_AFTER_S: Final = 0.2  # when the start that took one has had its time


def on_a_thread(work: Callable[[], None]) -> None:
    """In a while: making folders may take a millisecond, or a second."""
    loop = asyncio.get_running_loop()
    loop.call_later(REFILL_AFTER_S, loop.run_in_executor, None, work)


class PodFolders:
    """`root` is its own. `later` is given what can wait."""

    def __init__(self, root: Path, later: Callable[[Callable[[], None]], None] = on_a_thread) -> None:
        self._root = root
        self._later = later
        self._spares: deque[Path] = deque()
        self._numbers = itertools.count(1)

    def sweep(self, keep: Container[str]) -> None:
        """Removes the folders of Pods whose uid is not to be kept: an earlier platform was killed."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._spares.clear()
        for folder in self._root.iterdir():
            if folder.name.rpartition("_")[2] not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        self._refill()

    def make(self, folder: Path) -> None:
        """One Pod's; whatever is there of it already stays."""
        try:
            self._spares.popleft().rename(folder)
        except (IndexError, OSError):  # too many starts at once, or it has been there before
            _fill(folder)
        self._later(self._refill)

    def remove(self, folder: Path) -> None:
        """With all that is in it. Runs on a thread."""
        shutil.rmtree(folder, ignore_errors=True)

    def _refill(self) -> None:
        while len(self._spares) < SPARES:
            spare = self._root / f".spare-{next(self._numbers)}"
            _fill(spare)
            self._spares.append(spare)


def _fill(folder: Path) -> None:
    for name in (LOGS, f"{SCRATCH}/{TEMPORARY}"):
        (folder / name).mkdir(parents=True, exist_ok=True)
