"""Who runs on a data folder, and where things are in it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pilotlight.datadir import DataDir, Running, default_data_dir, is_alive


def running(folder: Path, pid: int) -> Running:
    api, inside = "https://127.0.0.1:7443", "http://127.80.0.1:80"
    return Running("http://127.0.0.1:8080", api, str(folder / "kubeconfig"), str(folder), pid, inside)


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = DataDir(tmp_path / "new" / "data")
    folder.make()
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700


def test_a_running_platform_is_found_and_a_killed_one_is_not(tmp_path: Path) -> None:
    folder = DataDir(tmp_path)
    assert folder.running() is None
    folder.write_running(running(tmp_path, os.getpid()))
    assert folder.running() == running(tmp_path, os.getpid())
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    folder.write_running(running(tmp_path, child.pid))
    assert folder.running() is None


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()  # its end of the pipe closes as it exits; nobody has waited for it yet
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid)
    child.wait()


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_a_damaged_file_counts_as_nobody(tmp_path: Path, content: str) -> None:
    folder = DataDir(tmp_path)
    folder.running_file.write_text(content)
    assert folder.running() is None


def test_the_announcement_is_one_json_line(tmp_path: Path) -> None:
    line = running(tmp_path, 7).line()
    assert "\n" not in line
    assert set(json.loads(line)) == {"gateway", "api", "kubeconfig", "data_dir", "pid"}


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", str(tmp_path / "mine"))
    assert default_data_dir() == tmp_path / "mine"
    monkeypatch.delenv("PILOTLIGHT_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert default_data_dir() == tmp_path / "xdg" / "pilotlight"
