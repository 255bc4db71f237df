"""One hosts file, rewritten in place."""

from __future__ import annotations

from pathlib import Path

from deploy.runtimes.hosts import HostsFile, make_hosts


def test_the_machines_own_lines_come_first() -> None:
    text = make_hosts("127.0.0.1 localhost", "127.80.0.1", ["a.default", "b.default"])
    assert text.splitlines() == ["127.0.0.1 localhost", "127.80.0.1 a.default", "127.80.0.1 b.default"]


def test_a_rewritten_file_is_the_same_file(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "hosts", "127.80.0.1")
    hosts.set_names(["a.default", "b.default"])
    before = hosts.path.stat().st_ino
    hosts.set_names(["a.default"])
    assert hosts.path.stat().st_ino == before
    assert hosts.path.read_text().endswith("127.80.0.1 a.default\n")
    assert "b.default" not in hosts.path.read_text()
