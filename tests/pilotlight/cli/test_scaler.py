"""scaler check, list and serve, as they are typed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pilotlight.cli.app import run
from scalers.readings import Reading
from scalers.registry import SCALERS
from tests.support.external_scaler import asking, certified, generated
from tests.support.scripted_scaler import MODULE, TYPE, Script, script

OBJECT = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "orders"},
    "spec": {"scaleTargetRef": {"name": "orders"}, "triggers": [{"type": TYPE, "metadata": {"queue": "orders"}}]},
}
OWN = certified("pilotlight-scalers.keda")


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Script:
    monkeypatch.setitem(SCALERS, TYPE, MODULE)  # type: ignore[arg-type]
    monkeypatch.setenv("PILOTLIGHT_DATA_DIR", str(tmp_path / "nobody"))
    return script()


def checked(tmp_path: Path, *arguments: str, document: object = OBJECT) -> int:
    file = tmp_path / "orders.yaml"
    file.write_text(yaml.safe_dump(document))
    return run(["scaler", "check", str(file), *arguments])


def test_check_says_what_it_would_mean(tmp_path: Path, capfd: pytest.CaptureFixture[str], scripted: Script) -> None:
    scripted.readings = [Reading(35.0, note="of two brokers")]
    assert checked(tmp_path) == 0
    out, err = capfd.readouterr()
    assert out.splitlines() == [
        "ScaledObject default/orders",
        "  warning: spec.scaleTargetRef.name: there is no Deployment orders in this namespace yet",
        f"  spec.triggers[0] {TYPE}",
        "    s0-q-orders: 35, AverageValue 10, active: 4 replicas (of two brokers)",
        "  from none it would go to 4 replicas (of 0 to 100)",
    ]
    assert "no platform is running" in err


def test_check_as_json_and_in_a_list(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    both = {"kind": "List", "items": [OBJECT, {**OBJECT, "metadata": {"name": "b"}, "spec": {"triggers": []}}]}
    assert checked(tmp_path, "--json", "-n", "shop", document=both) == 1
    good, bad = json.loads(capfd.readouterr().out)
    assert (good["namespace"], good["replicas"], good["errors"]) == ("shop", 4, [])
    assert good["triggers"][0]["metrics"][0]["value"] == 35.0
    assert bad["errors"]


def test_check_offline_reads_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str], scripted: Script) -> None:
    assert checked(tmp_path, "--offline") == 0
    assert scripted.reads == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        pytest.param({"kind": "Other"}, 2, "no ScaledObject or ScaledJob", id="nothing to check"),
        pytest.param(["x"], 2, "a document that is no object", id="no object"),
    ],
)
def test_check_of_something_else(
    document: object, code: int, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert checked(tmp_path, document=document) == code
    assert words in capfd.readouterr().err


def test_list(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["scaler", "list"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["TYPE", "NEEDS", "COUNTS"]
    assert [line.split()[0] for line in lines[1:]] == sorted(SCALERS)
    assert run(["scaler", "list", "external"]) == 0
    out = capfd.readouterr().out
    assert "pip install 'pilotlight[external]'" in out
    assert "scalerAddress   metadata         required" in out
    assert run(["scaler", "list", "--json", TYPE]) == 0
    told = json.loads(capfd.readouterr().out)
    assert [each["name"] for each in told["parameters"]] == ["queue", "size", "host", "password"]
    assert run(["scaler", "list", "kafkaa"]) == 1
    assert "known are" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--tls-key", "x"], ["--tls-client-ca", "x"]], ids=["half a pair", "no pair"])
def test_serve_wants_both_parts_of_a_pair(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["scaler", "serve", *arguments]) == 2
    assert "belong together" in capfd.readouterr().err


def test_serve_until_sigterm(tmp_path: Path) -> None:
    for name, text in (("tls.crt", OWN.certificate), ("tls.key", OWN.key)):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pilotlight", "scaler", "serve", "--address", "127.0.0.1:0"]
    tls = ["--tls-certificate", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, *tls], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.endswith("with TLS\n"), line
            port = int(line.split("127.0.0.1:")[1].split()[0])
            assert asyncio.run(_cron_is_active(port)) is True
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


async def _cron_is_active(port: int) -> bool:
    import grpc

    told = {
        "scalerType": "cron",
        "timezone": "UTC",
        "start": "0 0 1 1 *",
        "end": "59 23 31 12 *",
        "desiredReplicas": "1",
    }
    credentials = grpc.ssl_channel_credentials(OWN.authority.encode())
    async with asking(f"127.0.0.1:{port}", credentials, "pilotlight-scalers.keda") as keda:
        return bool((await keda.IsActive(generated()[0].ScaledObjectRef(name="x", scalerMetadata=told))).result)
