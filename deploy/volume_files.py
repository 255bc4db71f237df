"""Volumes on disk: the files of Secrets and ConfigMaps, shared by the Pods that mount them.

Used by `deploy/pods` and `deploy/preparation`; `deploy/containers` asks before each start for the parts of volumes that
it mounts (`subPath`). A folder goes with the last Pod that uses it.

One whose content may change is laid out as by the kubelet (pkg/volume/util/atomic_writer.go): each file is a link into
`..data`, and `..data` a link to the folder that is in force, so that a reader sees all of the old or all of the new.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from pathlib import Path

from deploy.claim_folders import EVERYBODY, check_folders
from deploy.podfields import CONFIG_ERROR
from deploy.podplan import Planned
from deploy.podvolumes import FilesVolume
from deploy.runtimes.base import ContainerPlan, Mount, StartError

IN_FORCE = "..data"


class VolumeFiles:
    """`root` is its own; whatever an earlier platform left there goes at the start."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._users: Counter[Path] = Counter()

    def clear(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True, mode=0o755)

    def take(self, planned: Planned) -> None:
        """Makes every folder of the plan; to be given back once. StartError where one of a claim is not there."""
        check_folders(planned.claimed)
        for folder, volume in planned.files.items():
            if not self._users[folder]:
                _write(folder, volume)
            self._users[folder] += 1
        for folder, volume in planned.live.items():
            _publish(folder, volume)
            self._users[folder] += 1
        for folder, empty in planned.empty.items():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(EVERYBODY)
            if empty.group is not None:
                _give(folder, empty.group)

    def refresh(self, planned: Planned) -> None:
        """What those who mount it see from now on."""
        for folder, volume in planned.live.items():
            if self._users[folder]:
                _publish(folder, volume)

    def give_back(self, planned: Planned) -> None:
        for folder in (*planned.files, *planned.live):
            self._users[folder] -= 1
            if self._users[folder] <= 0:
                del self._users[folder]
                shutil.rmtree(folder, ignore_errors=True)


def prepare_parts(container: ContainerPlan) -> None:
    """The parts of volumes that it mounts are there, and inside their volumes. StartError."""
    for mount in container.mounts:
        if mount.volume is not None:
            _prepare_part(mount, mount.volume)


def _prepare_part(mount: Mount, volume: Path) -> None:
    """One that is missing is made, as an empty folder. A link that a container put there may not lead out: the machine
    would follow it."""
    below = mount.source.relative_to(volume)
    refusal = f'failed to prepare subPath "{below}" for mountPath {mount.path}'
    real, inside = mount.source.resolve(), volume.resolve()
    if not real.is_relative_to(inside):
        raise StartError(CONFIG_ERROR, f"{refusal}: it leads out of the volume")
    if real.exists():
        return
    made = inside
    try:
        for part in real.relative_to(inside).parts:
            made = made / part
            if not made.is_dir():
                made.mkdir()
                made.chmod(EVERYBODY)
    except OSError as error:
        raise StartError(CONFIG_ERROR, f"{refusal}: {error.strerror}") from None


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


def _publish(folder: Path, volume: FilesVolume) -> None:
    """Puts a content in force, where another is. Links to what is no more go after that, new ones lead at once to what
    is there."""
    data, name = folder / IN_FORCE, f"..{volume.digest}"
    before = os.readlink(data) if data.is_symlink() else ""
    if before == name:
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    _write(folder / name, volume)
    _link(data, name)
    names = {Path(file.path).parts[0] for file in volume.files}
    for each in names:
        if not (folder / each).is_symlink():
            _link(folder / each, f"{IN_FORCE}/{each}")
    for link in folder.iterdir():
        if link.name not in names and not link.name.startswith(".."):
            link.unlink()
    if before:
        shutil.rmtree(folder / before, ignore_errors=True)


def _link(path: Path, target: str) -> None:
    """In one step, whatever was there."""
    fresh = path.with_name(f"..new.{path.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(path)


def _give(path: Path, group: int) -> None:
    """To the Pod's fsGroup, where this user may."""
    with contextlib.suppress(PermissionError):
        os.chown(path, -1, group)
