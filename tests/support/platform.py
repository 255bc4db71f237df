"""A real platform in a process of its own, on free ports, for tests that act as its users."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pilotlight.cli.platform import start_detached, stop
from pilotlight.datadir import DataDir, Running
from pilotlight.options import PlatformOptions


@dataclass(frozen=True)
class Platform:
    """A running one. `environment` is what a user's shell would have after `export KUBECONFIG=…`."""

    running: Running

    @property
    def data_dir(self) -> DataDir:
        return DataDir(Path(self.running.data_dir))

    @property
    def environment(self) -> dict[str, str]:
        own = {"KUBECONFIG": self.running.kubeconfig, "PILOTLIGHT_DATA_DIR": self.running.data_dir}
        return {**os.environ, **own}


@contextmanager
def running_platform(folder: Path) -> Iterator[Platform]:
    """Up on entry, down on exit; the folder is the caller's."""
    running = start_detached(PlatformOptions(DataDir(folder), gateway_port=0, api_port=0))
    try:
        yield Platform(running)
    finally:
        stop(running)


def fresh_folder(folder: Path) -> Path:
    """Empty, however it was left."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
