"""What a platform refuses, and in which words: hosts that nobody serves, documents that cannot be right."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import time
from typing import Any

import pytest

from tests.support.data_path import Client
from tests.support.platform import Platform
from tests.support.user import SERVING, User, make_service

TRAFFIC = "apis/serving.knative.dev/v1/namespaces/default/services"


@pytest.fixture(scope="module")
def secret(user: User) -> str:
    """A service that is not to be seen from outside."""
    service = make_service("secret")
    service["metadata"]["labels"] = {"networking.knative.dev/visibility": "cluster-local"}
    return user.deploy(service)


@pytest.mark.parametrize(
    "host",
    ["nobody.default.localhost", "secret.default.localhost", "127.0.0.1", "x.svc.cluster.local", "a" * 300 + ".b"],
)
def test_a_host_that_nobody_serves_learns_nothing(user: User, secret: str, host: str) -> None:
    reply = user.call(host)
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")
    assert secret not in reply.text
    assert "default" not in reply.text


def _traffic(*targets: dict[str, Any]) -> dict[str, Any]:
    service = make_service("split")
    service["spec"]["traffic"] = list(targets)
    return service


def _with(**container: Any) -> dict[str, Any]:
    service = make_service("wrong")
    service["spec"]["template"]["spec"]["containers"][0].update(container)
    return service


LATEST = {"latestRevision": True}
REFUSED = {
    "sum of percentages": (_traffic({**LATEST, "percent": 60}, {**LATEST, "percent": 60}), "sum to 120"),
    "negative percentage": (_traffic({**LATEST, "percent": -1}, {**LATEST, "percent": 101}), "percent"),
    "percentage in words": (_traffic({**LATEST, "percent": "all"}), "percent"),
    "tag twice": (
        _traffic({**LATEST, "percent": 50, "tag": "a"}, {**LATEST, "percent": 50, "tag": "a"}),
        "Multiple definitions for",
    ),
    "tag that is no name": (_traffic({**LATEST, "percent": 100, "tag": "A_b"}), "tag"),
    "latest and a name": (_traffic({**LATEST, "revisionName": "split-00001", "percent": 100}), "revisionName"),
    "reserved port": (_with(ports=[{"containerPort": 8012}]), "8012"),
    "metrics port": (_with(ports=[{"containerPort": 9091}]), "9091"),
    "port that is none": (_with(ports=[{"containerPort": 65536}]), "65536"),
    "two ports": (_with(ports=[{"containerPort": 1}, {"containerPort": 2}]), "ports"),
    "reserved variable": (_with(env=[{"name": "PORT", "value": "1"}]), "PORT"),
    "reserved name": (_with(name="queue-proxy"), "queue-proxy"),
    "no command": (_with(command=[]), "command"),
    "field that is misspelt": (_with(comand=["x"]), "comand"),
    "timeout too long": (make_service("wrong", timeoutSeconds=86_400), "timeoutSeconds"),
    "concurrency too high": (make_service("wrong", containerConcurrency=100_000), "containerConcurrency"),
    "bounds the wrong way around": (
        make_service("wrong", annotations={"min-scale": "3", "max-scale": "2"}), "max-scale=2 is less than min-scale=3",
    ),
    "scale in words": (make_service("wrong", annotations={"max-scale": "many"}), "max-scale"),
    "name with capitals": (make_service("Wrong"), "Wrong"),
    "runtime that is not there": (make_service("wrong", runtimeClassName="wasm"), "wasm"),
    "no containers": (make_service("wrong", containers=[]), "containers"),
}  # fmt: skip


@pytest.mark.parametrize(("service", "words"), REFUSED.values(), ids=REFUSED)
def test_a_document_that_cannot_be_right(user: User, service: dict[str, Any], words: str) -> None:
    """Refused as a whole, with a Status that names what was found; nothing of it is kept."""
    reply = user.ask("POST", f"{SERVING}/services?fieldValidation=Strict", service)
    status = reply.json
    assert reply.status in (400, 422)
    assert (status["kind"], status["code"]) == ("Status", reply.status)
    assert words in json.dumps(status, ensure_ascii=False)
    assert "Traceback" not in reply.text
    names = {item["metadata"]["name"] for item in user.items(f"{SERVING}/services")}
    assert not names & {"split", "wrong", "Wrong"}


BODIES = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "a list": (b"[]", 400),
    "a number": (b"1", 400),
    "not UTF-8": (b'{"apiVersion": "\xff"}', 400),
    "deep": (b'{"metadata": ' + b"[" * 100_000, 400),
    "another kind": (b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}', 400),
    "too large": (b'{"metadata": {"name": "' + b"x" * 4_000_000 + b'"}}', 413),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_document(user: User, body: bytes, code: int) -> None:
    reply = user.ask("POST", f"{SERVING}/services", body)
    assert (reply.status, reply.json["kind"]) == (code, "Status")


YAMLS = {
    "not YAML": ("kind: [Service", "error"),
    "a kind that is not there": (
        "apiVersion: serving.knative.dev/v1\nkind: Servce\nmetadata: {name: bad}\n",
        'no matches for kind "Servce"',
    ),
    "wrong type": (json.dumps(make_service("wrong")).replace('"spec"', '"spec": 1, "x"', 1), "spec"),
}


@pytest.mark.kubectl
@pytest.mark.parametrize(("text", "words"), YAMLS.values(), ids=YAMLS)
def test_bad_yaml(platform: Platform, user: User, text: str, words: str) -> None:
    done = subprocess.run(
        ["kubectl", "apply", "-f", "-"], input=text, capture_output=True, text=True, env=platform.environment
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert user.ask("GET", f"{SERVING}/services/wrong").status == 404


MALFORMED = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunked": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bare line feed": b"GET / HTTP/1.1\nHost: a\n\n",
    "head without end": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 50_000,
}


def test_tls_on_the_plain_port_is_refused_at_once(user: User) -> None:
    """A client that was given https:// learns it now, and not when the time for a head is up."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", user.port)) as plain, pytest.raises(ssl.SSLError):
        ssl._create_unverified_context().wrap_socket(plain)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_http_is_refused_and_cut_off(user: User, data: bytes) -> None:
    async def main() -> None:
        client = await Client.connect(user.port)
        client.send(data)
        async with asyncio.timeout(20):
            try:
                response = await client.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # cut off while it was still sending
            else:
                assert 400 <= response.status < 500
                assert await client.at_end()
        client.close()

    asyncio.run(main())
