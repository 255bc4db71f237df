"""The one data folder: where everything a platform keeps has its place, and who is running on it.

Called by `serve` (to own it) and by every command that looks for a running platform.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that answers. `inside`: where the gateway serves cluster-local hosts, too."""

    gateway: str
    api: str
    kubeconfig: str
    data_dir: str
    pid: int
    inside: str = ""

    def line(self) -> str:
        """What `pilotlight up --json` prints."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "inside"})


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths below the folder. Nothing is created before `make`."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "pilotlight.db"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def functions(self) -> Path:
        return self.root / "functions"

    @property
    def claims(self) -> Path:
        """The folders of PersistentVolumeClaims: users' data, which outlives everything else here."""
        return (self.root / "claims").absolute()

    @property
    def platform_log(self) -> Path:
        return self.root / "platform.log"

    @property
    def running_file(self) -> Path:
        return self.root / "running.json"

    def make(self) -> None:
        """Creates the folder, readable by its owner only: it holds the API's key and users' Secrets."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def write_running(self, running: Running) -> None:
        temporary = self.running_file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(running)))
        temporary.replace(self.running_file)

    def forget_running(self) -> None:
        self.running_file.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """The platform on this folder, or None where there is none (a stale file of a killed one does not count)."""
        try:
            running = Running(**json.loads(self.running_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return running if is_alive(running.pid) else None


def default_data_dir() -> Path:
    """$PILOTLIGHT_DATA_DIR, else the folder for a user's data (XDG Base Directory Specification)."""
    if chosen := os.environ.get("PILOTLIGHT_DATA_DIR"):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser().absolute() / "pilotlight"


def is_alive(pid: int) -> bool:
    """Whether a process of that id runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _answers_signals(pid) if not Path("/proc/self").exists() else False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
