"""Volumes on disk: the files of Secrets and ConfigMaps by their content, shared by the Pods that mount them.

Used by `deploy/pods` and `deploy/preparation`. A folder goes with the last Pod that uses it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from pathlib import Path

from deploy.podplan import Planned
from deploy.podvolumes import FilesVolume


class VolumeFiles:
    """`root` is its own; whatever an earlier platform left there goes at the start."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._users: Counter[Path] = Counter()

    def clear(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True, mode=0o755)

    def take(self, planned: Planned) -> None:
        """Makes every folder of the plan; to be given back once."""
        for folder, volume in planned.files.items():
            if not self._users[folder]:
                _write(folder, volume)
            self._users[folder] += 1
        for folder, empty in planned.empty.items():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)  # as the kubelet makes an emptyDir: any user of the Pod may write
            if empty.group is not None:
                _give(folder, empty.group)

    def give_back(self, planned: Planned) -> None:
        for folder in planned.files:
            self._users[folder] -= 1
            if self._users[folder] <= 0:
                del self._users[folder]
                shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, volume: FilesVolume) -> None:
    """All or nothing: the folder appears under its name when it is complete."""
    fresh = folder.with_name(f".{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o755)
    for file in volume.files:
        path = fresh / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        mode = file.mode | 0o040 if volume.group is not None else file.mode
        path.chmod(mode & 0o777)
        if volume.group is not None:
            _give(path, volume.group)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _give(path: Path, group: int) -> None:
    """To the Pod's fsGroup, where this user may."""
    with contextlib.suppress(PermissionError):
        os.chown(path, -1, group)
