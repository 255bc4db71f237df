"""Paths of this machine that were made so that something could be mounted over them for an instance.

Removing one unmounts it in every namespace, so it goes with the last instance that uses it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path


class MountPoints:
    """One for all instances."""

    def __init__(self) -> None:
        self._users: Counter[Path] = Counter()

    def take(self, path: Path, is_folder: bool) -> list[Path]:
        """Makes it, and the folders above it, where they are missing. Give back what is returned. OSError."""
        ours = [each for each in (*reversed(path.parents), path) if each in self._users or not each.exists()]
        made: list[Path] = []
        try:
            for each in ours:
                if each != path or is_folder:
                    each.mkdir(exist_ok=True)
                else:
                    each.touch()
                self._users[each] += 1
                made.append(each)
        except OSError:
            self.give_back(made)
            raise
        return made

    def give_back(self, paths: list[Path]) -> None:
        """What nobody uses any more is removed, if it is as empty as it was made."""
        for path in reversed(paths):
            self._users[path] -= 1
            if self._users[path] > 0:
                continue
            del self._users[path]
            with contextlib.suppress(OSError):
                if path.is_dir():
                    path.rmdir()
                elif path.stat().st_size == 0:
                    path.unlink()
