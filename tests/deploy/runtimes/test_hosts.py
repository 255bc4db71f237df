"""One hosts file, rewritten in place."""

from __future__ import annotations

from pathlib import Path

from deploy.runtimes.hosts import INSTANCES_KEPT, HostsFile, machine_lines


def test_a_rewritten_file_is_the_same_file(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "deep" / "hosts", lambda: "127.0.0.1 localhost", "127.80.0.1")
    hosts.set_names(["a.default", "b.default"])
    before = hosts.path.stat().st_ino
    assert hosts.path.read_text().splitlines() == [
        "127.0.0.1 localhost",
        "127.80.0.1 a.default",
        "127.80.0.1 b.default",
    ]
    hosts.set_names(["a.default"])
    assert hosts.path.read_text().splitlines() == ["127.0.0.1 localhost", "127.80.0.1 a.default"]
    assert hosts.path.stat().st_ino == before, "a mounted file must stay the same one"


def test_names_lead_nowhere_before_the_gateway_is_known(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "hosts", lambda: "")
    hosts.set_names(["a.default"])
    assert "a.default" not in hosts.path.read_text()
    hosts.set_gateway("10.0.0.1")
    assert "10.0.0.1 a.default\n" in hosts.path.read_text()


def test_instances_find_themselves_and_a_pod_its_aliases(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "hosts", machine_lines, "10.0.0.1")
    hosts.set_names(["db"])
    for number in range(INSTANCES_KEPT + 1):
        hosts.add(f"pod-{number}")
    text = hosts.path.read_text()
    assert text.startswith(machine_lines().rstrip())
    assert "127.0.1.1 pod-1\n" in text
    assert "127.0.1.1 pod-0\n" not in text
    own = hosts.text({"db": "10.9.9.9"})
    assert own.index("10.9.9.9 db\n") < own.index("10.0.0.1 db\n"), "the first of two lines counts"
