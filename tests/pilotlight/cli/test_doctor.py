"""Each finding that is not right says what it costs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pilotlight.cli.doctor import Verdict, examine
from pilotlight.datadir import DataDir


def test_every_missing_thing_has_its_cost(tmp_path: Path) -> None:
    findings = {finding.subject: finding for finding in examine(DataDir(tmp_path / "data"))}
    assert {"Python", "data folder", "gateway port", "api port", "engine", "cgroups", "names", "kubectl"} <= set(
        findings
    )
    assert all(finding.cost for finding in findings.values() if finding.verdict is not Verdict.OK)
    assert not (tmp_path / "data").exists()  # looking changes nothing


def test_a_taken_port_is_named_with_what_helps(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            pass  # another program has it, which is as good
        findings = {finding.subject: finding for finding in examine(DataDir(tmp_path))}
    assert findings["gateway port"].verdict is Verdict.MISSING
    assert "--gateway-port 0" in findings["gateway port"].cost


def test_an_engine_that_does_not_answer_is_not_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    (engine,) = (finding for finding in examine(DataDir(tmp_path)) if finding.subject == "engine")
    assert engine.verdict is Verdict.MISSING
    assert "nobody.sock" in engine.found
    assert "DOCKER_HOST" in engine.cost
