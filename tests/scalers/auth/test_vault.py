"""Answers have the shape that Vault's API documentation gives them (developer.hashicorp.com/vault/api-docs)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import PermanentError, TemporaryError
from core.resources.meta import Json
from scalers.auth.answers import Answer
from scalers.auth.vault import read_vault
from tests.support.answering import Answering, Asked, ok

PLANTED = "s3cr3t-7Hq"
WHO = "TriggerAuthentication default/access: spec.hashiCorpVault"
TOKEN = {"authentication": "token", "credential": {"token": f"{PLANTED}-token"}}
LOOKUP = {"data": {"renewable": False, "ttl": 0}}
SECRETS: Mapping[str, Json] = {
    "GET /v1/auth/token/lookup-self": LOOKUP,
    "GET /v1/kv1/kafka": {"lease_duration": 2764800, "data": {"password": PLANTED, "count": 3}},
    "GET /v1/secret/data/kafka": {
        "lease_duration": 0,
        "data": {"data": {"password": PLANTED, "user": "anna"}, "metadata": {"version": 3}},
    },
    "GET /v1/database/creds/reader": {
        "lease_id": "database/creds/reader/x",
        "lease_duration": 60,
        "renewable": True,
        "data": {"username": "v-1", "password": PLANTED},
    },
    "POST /v1/pki/issue/kafka": {
        "lease_duration": 0,
        "data": {"certificate": "CERT", "private_key": PLANTED, "ca_chain": ["ONE", "TWO"], "expiration": 1},
    },
    "POST /v1/auth/kubernetes/login": {"auth": {"client_token": f"{PLANTED}-made", "lease_duration": 1200}},
}


class Vault:
    """Answers what it was given, and 404 with an echo of everything it was asked."""

    def __init__(self, answers: Mapping[str, Json | bytes]) -> None:
        self._answers = answers
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> bytes:
        self.asked.append(asked)
        found = self._answers.get(f"{asked.method} {asked.target}")
        if found is None:
            return ok(orjson.dumps({"errors": [str(asked)]}), "404 Not Found")
        return found if isinstance(found, bytes) else ok(orjson.dumps(found))


def visit(spec: Json, answers: Mapping[str, Json | bytes] = SECRETS) -> tuple[Answer[Mapping[str, str]], list[Asked]]:
    async def run() -> tuple[Answer[Mapping[str, str]], list[Asked]]:
        vault = Vault(answers)
        async with Answering(vault) as server:
            return await read_vault({"address": server.url, **spec}, WHO), vault.asked

    return asyncio.run(run())


def secret(path: str, key: str, parameter: str = "password", **more: Any) -> Json:
    return {"parameter": parameter, "path": path, "key": key, **more}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        pytest.param(secret("kv1/kafka", "password"), PLANTED, id="guessed to be version 1"),
        pytest.param(secret("kv1/kafka", "password", type="secret"), PLANTED, id="version 1"),
        pytest.param(secret("secret/data/kafka", "password"), PLANTED, id="guessed to be version 2"),
        pytest.param(secret("/secret/data/kafka", "user", type="secretV2"), "anna", id="version 2"),
        pytest.param(secret("pki/issue/kafka", "ca_chain", type="pki"), "ONE\nTWO", id="a chain of certificates"),
        pytest.param(secret("pki/issue/kafka", "private_key", type="pki"), PLANTED, id="a private key"),
    ],
)
def test_values(entry: Json, value: str) -> None:
    found, asked = visit({**TOKEN, "secrets": [entry]})
    assert found.value == {"password": value}
    assert {each.headers["x-vault-token"] for each in asked} == {f"{PLANTED}-token"}


def test_each_path_is_read_once() -> None:
    pki = {"commonName": "kafka", "ttl": "1h", "altNames": ""}
    entries = [
        secret("database/creds/reader", "username", "user"),
        secret("database/creds/reader", "password"),
        secret("pki/issue/kafka", "certificate", "cert", type="pki", pkiData=pki),
        secret("pki/issue/kafka", "private_key", "key", type="pki", pkiData=dict(reversed(pki.items()))),
    ]
    found, asked = visit({**TOKEN, "namespace": "team", "secrets": entries})
    assert found.value == {"user": "v-1", "password": PLANTED, "cert": "CERT", "key": PLANTED}
    assert [each.target for each in asked] == [
        "/v1/auth/token/lookup-self",
        "/v1/database/creds/reader",
        "/v1/pki/issue/kafka",
    ]
    assert orjson.loads(asked[2].body) == {"common_name": "kafka", "ttl": "1h"}
    assert {each.headers["x-vault-namespace"] for each in asked} == {"team"}


@pytest.mark.parametrize(
    ("path", "lookup", "renewed", "good_for_s"),
    [
        pytest.param("secret/data/kafka", {"ttl": 0}, None, 300.0, id="no lease: five minutes"),
        pytest.param("kv1/kafka", {"ttl": 0}, None, 300.0, id="a month: five minutes"),
        pytest.param("database/creds/reader", {"ttl": 0}, None, 40.0, id="two thirds of the lease"),
        pytest.param("database/creds/reader", {"ttl": 30}, None, 20.0, id="the token ends before"),
        pytest.param("database/creds/reader", {"ttl": 3, "renewable": True}, 30, 20.0, id="the token is renewed"),
    ],
)
def test_how_long_it_is_good(path: str, lookup: Json, renewed: int | None, good_for_s: float) -> None:
    answers = {
        **SECRETS,
        "GET /v1/auth/token/lookup-self": {"data": lookup},
        "POST /v1/auth/token/renew-self": {"auth": {"lease_duration": renewed}},
    }
    found, _ = visit({**TOKEN, "secrets": [secret(path, "password")]}, answers)
    assert found.good_for_s == pytest.approx(good_for_s)


def jwt(claims: Json) -> str:
    middle = base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"e30.{middle}.{PLANTED}"


def test_logging_in_with_the_token_of_a_service_account(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(jwt({"sub": "system:serviceaccount:default:keda"}) + "\n")
    spec = {
        "authentication": "kubernetes",
        "mount": "kubernetes",
        "role": "reader",
        "credential": {"serviceAccount": str(file)},
        "secrets": [secret("kv1/kafka", "password")],
    }
    found, asked = visit(spec)
    assert found.value == {"password": PLANTED}
    assert orjson.loads(asked[0].body) == {"jwt": file.read_text().strip(), "role": "reader"}
    assert "x-vault-token" not in asked[0].headers
    assert asked[1].headers["x-vault-token"] == f"{PLANTED}-made"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLANTED, id="some other secret"),
        pytest.param(jwt({"sub": "somebody"}), id="somebody else's token"),
        pytest.param(f"a.{PLANTED}!.c", id="no base64"),
    ],
)
def test_other_files_do_not_leave_this_machine(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    spec = {"authentication": "kubernetes", "mount": "kubernetes", "role": "reader", "secrets": []}
    with pytest.raises(PermanentError, match="does not hold the token of a service account") as caught:
        visit({**spec, "credential": {"serviceAccount": str(tmp_path / "token")}})
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param({"credential": {}}, ".credential.token: is required", id="no token"),
        pytest.param({"authentication": "ldap"}, "is 'ldap', must be one of token, kubernetes", id="method"),
        pytest.param({"authentication": "kubernetes", "role": "x"}, ".mount: is required", id="no mount"),
        pytest.param({"authentication": "kubernetes", "mount": "x"}, ".role: is required", id="no role"),
        pytest.param(
            {"authentication": "kubernetes", "mount": "x", "role": "x", "credential": {"serviceAccountName": "x"}},
            "tokens of service accounts are not made here; name a file",
            id="a token that would have to be made",
        ),
        pytest.param({"address": "vault:8200"}, ".address: is no URL", id="address"),
        pytest.param(
            {"secrets": [secret("kv1/kafka", "pass")]},
            ".secrets[0].key: 'pass' is not among the keys of kv1/kafka: count, password",
            id="key",
        ),
        pytest.param({"secrets": [secret("kv1/kafka", "count")]}, "'count' of kv1/kafka is no text", id="a number"),
        pytest.param(
            {"secrets": [secret("kv1/kafka", "password", type="secretV2")]},
            "'password' is not among the keys of kv1/kafka: none",
            id="version 1 taken for 2",
        ),
        pytest.param({"secrets": [secret("kv1/kafka", "x", type="v3")]}, "must be one of secret", id="type"),
    ],
)
def test_what_is_wrong_is_named(spec: Json, words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        visit({**TOKEN, "secrets": [], **spec})
    assert str(caught.value).startswith(WHO)
    assert words in str(caught.value)
    assert PLANTED not in str(caught.value)


ECHO = orjson.dumps({"errors": [f"1 error occurred: permission denied for {PLANTED}"]})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(ok(ECHO, "403 Forbidden"), "refuses: the token is not good", id="refused"),
        pytest.param(ok(ECHO, "404 Not Found"), "has data/ after its mount (404)", id="not there"),
        pytest.param(ok(ECHO, "503 Service Unavailable"), "is sealed or under maintenance", id="sealed"),
        pytest.param(ok(ECHO, "500 Oh"), "/v1/kv1/kafka answered 500", id="ill"),
        pytest.param(ok(f"<{PLANTED}>"), "did not answer as Vault does", id="something else"),
    ],
)
def test_refusals_are_told_without_vaults_words(answer: bytes, words: str) -> None:
    with pytest.raises(TemporaryError) as caught:
        visit({**TOKEN, "secrets": [secret("kv1/kafka", "x")]}, {**SECRETS, "GET /v1/kv1/kafka": answer})
    assert str(caught.value).startswith(f"{WHO}.secrets[0]: http://127.0.0.1:")
    assert words in str(caught.value)
    assert PLANTED not in str(caught.value)
