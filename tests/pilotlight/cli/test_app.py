"""How commands end: one sentence and a code, whatever went wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import NotFound
from pilotlight.cli.app import run
from pilotlight.cli.kn.options import SERVICE_FLAGS

ROOT = Path(__file__).parents[3]
NEW = ("service", "create", "x")


def ended(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(arguments)
    return code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("label", "arguments", "code", "words"),
    [
        ("typo", ("service", "craete"), 2, "Did you mean 'create'"),
        ("no command", ("service",), 2, "Usage: pilotlight service"),
        ("not running", ("service", "list"), 2, "pilotlight up"),
        ("no kubeconfig", ("--kubeconfig", "/nowhere/config", "route", "list"), 1, "/nowhere/config: No such file"),
        ("no env file", (*NEW, "--env-file", "/nowhere/env"), 1, "/nowhere/env: No such file"),
        ("no more containers", (*NEW, "--containers", "/nowhere/c"), 1, "/nowhere/c: No such file"),
        ("broken JSON", (*NEW, "--toleration", "{x"), 2, "--toleration '{x'"),
        ("a port by name", (*NEW, "--probe-readiness", "tcp:h:abc"), 2, "expected http:HOST:PORT:PATH"),
        ("a mesh's profile", (*NEW, "--profile", "istio"), 2, "give the annotations you need"),
        ("no folder", ("deploy", "x", "--source", "/nowhere"), 2, "no such folder"),
        ("nothing to develop", ("dev", "/nowhere"), 2, "/nowhere: no such folder"),
        ("no export", ("service", "import", "/nowhere.yaml"), 2, "/nowhere.yaml"),
    ],
)
def test_mistakes_are_one_sentence(
    label: str,
    arguments: tuple[str, ...],
    code: int,
    words: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", "/nowhere/data")
    got, err = ended(capfd, *arguments)
    assert got == code, err
    assert words in err
    assert "Traceback" not in err
    assert err.startswith("Usage:" if label == "no command" else "error: ")


def up(*arguments: str) -> tuple[int, str]:
    """In a process of its own: a platform sets up logging for the whole process."""
    command = [sys.executable, "-m", "pilotlight", "up", "--api-port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, err = up("--data-dir", str(tmp_path), "--gateway-port", port)
    assert code == 1
    assert err.splitlines()[-1].startswith(f"error: gateway port {port} on 127.0.0.1 is in use")
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_made_is_named() -> None:
    code, err = up("--data-dir", "/proc/nowhere", "--gateway-port", "0")
    assert (code, err) == (1, "error: /proc/nowhere: No such file or directory\n")


def test_a_program_gets_its_error_as_json(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, err = ended(capfd, "--data-dir", str(tmp_path), "service", "list", "--json")
    assert code == 2
    error = json.loads(err)["error"]
    assert "pilotlight up" in error["message"]
    assert error["reason"] == "UsageProblem"


def test_our_own_mistakes_keep_their_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("pilotlight.cli.doctor.examine", fail)
    with pytest.raises(KeyError):
        run(["doctor"])


@pytest.mark.parametrize(
    ("inner", "is_told"),
    [(NotFound("gone"), True), (ValueError("ours"), False), (ExceptionGroup("deeper", [NotFound("gone")]), True)],
)
def test_a_group_is_told_only_where_all_of_it_is_meant_for_people(
    inner: Exception, is_told: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ExceptionGroup("tasks", [inner])

    monkeypatch.setattr("pilotlight.cli.doctor.examine", fail)
    if is_told:
        assert ended(capfd, "doctor") == (1, "error: gone\n")
    else:
        with pytest.raises(ExceptionGroup):
            run(["doctor"])


def test_former_names_work_and_do_not_show(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["service", "create", "--help"]) == 0
    shown = capfd.readouterr().out
    former = [flag.name for flag in SERVICE_FLAGS if flag.hidden]
    assert "--autoscale-window" in former
    assert [name for name in former if name in shown] == []
