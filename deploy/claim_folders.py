"""The folders behind PersistentVolumeClaims: made, found and removed. Data of users: nothing here removes what a volume
does not name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.claimed import ClaimedFolder
from deploy.podfields import CONFIG_ERROR
from deploy.runtimes.base import StartError

EVERYBODY = 0o777  # as the kubelet makes an emptyDir, and provisioners of local folders: Pods run as any user
_GOING = ".going-"


def make_folder(path: Path) -> None:
    """Outlives a power cut from here on, like the volume that names it. One that is there stays as it is: it may have
    come with data. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(EVERYBODY)
    for changed in (path, path.parent, path.parent.parent):
        _sync(changed)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(path: Path) -> None:
    """With all that is in it; gone already is as good. It has lost its name before the first file goes, so that nobody
    mounts a half of it. OSError."""
    going = path.with_name(f"{_GOING}{path.name}")
    if path.exists():
        path.rename(going)
    if going.exists():
        shutil.rmtree(going)


def check_folders(folders: Mapping[Path, ClaimedFolder]) -> None:
    """What a Pod is about to mount is there; made, where its volume lets it be made. StartError, as the kubelet's."""
    for path, folder in folders.items():
        try:
            if folder.type in ("", "DirectoryOrCreate") and not path.exists():
                make_folder(path)
        except OSError as error:
            raise StartError(CONFIG_ERROR, f"hostPath type check failed: {path}: {error.strerror}") from None
        if folder.type in ("Directory", "DirectoryOrCreate") and not path.is_dir():
            raise StartError(CONFIG_ERROR, f"hostPath type check failed: {path} is not a directory")
