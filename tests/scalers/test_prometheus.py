"""The tables are those of pkg/scalers/prometheus_scaler_test.go (KEDA 2.20.2), and answers of a real Prometheus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from core.errors import PermanentError, TemporaryError
from scalers.params import parse
from scalers.prometheus import DEFINITION, PrometheusParameters
from scalers.readings import Quality, Reading, Target
from tests.support.answering import Answering, Asked, ok
from tests.support.scaling import make_trigger, make_world, read_once

PLANTED = "s3cr3t-7Hq"
RECORDED = orjson.loads((Path(__file__).parent / "recorded" / "prometheus_query.json").read_bytes())["answers"]
GOOD = {"serverAddress": "http://localhost:9090", "threshold": "100", "query": "up"}
PAIR = {"username": "user", "password": PLANTED}
TLS = {"ca": "caaa", "cert": "ceert", "key": PLANTED}


def parsed(metadata: dict[str, str], auth: dict[str, str] | None = None) -> PrometheusParameters:
    found = parse(PrometheusParameters, make_trigger(metadata, auth))
    assert isinstance(found, PrometheusParameters), found
    return found


@pytest.mark.parametrize(
    "more",
    [
        {"metricName": "http_requests_total"},
        {"namespace": "foo"},
        {"ignoreNullValues": "false"},
        {"activationThreshold": "50"},
        {"unsafeSsl": "true"},
        {"customHeaders": "key1=value1,key2=value2"},
        {"queryParameters": "key1=value1,key2=value2"},
        {"timeout": "1000"},
        {"timeout": "1s"},
    ],
    ids=str,
)
def test_well_formed(more: dict[str, str]) -> None:
    parsed(GOOD | more)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"serverAddress": ""}, "is required"),
        ({"serverAddress": "localhost:9090"}, "must be a URL of the form http://HOST"),
        ({"threshold": ""}, "is required"),
        ({"threshold": "one"}, "is 'one', must be greater than 0.0"),
        ({"threshold": "0"}, "must be greater than 0.0"),
        ({"activationThreshold": "one"}, "must be a number"),
        ({"query": ""}, "is required"),
        ({"ignoreNullValues": "xxxx"}, "must be true or false"),
        ({"customHeaders": "key1=value1,key2"}, "must be of the form key=value"),
        ({"queryParameters": "key1=value1,key2"}, "must be of the form key=value"),
        ({"timeout": "-1"}, "is not a duration"),
        ({"timeout": "a"}, "is not a duration"),
        ({"timeout": "0"}, "greater than 0"),
    ],
    ids=str,
)
def test_malformed(changed: dict[str, str], words: str) -> None:
    found = parse(PrometheusParameters, make_trigger(GOOD | changed))
    assert isinstance(found, list)
    assert [each.path for each in found] == [f"spec.triggers[0].metadata.{next(iter(changed))}"]
    assert words in found[0].message


@pytest.mark.parametrize(
    ("modes", "auth", "missing"),
    [
        ("tls", TLS, None),
        ("tls", {"cert": "ceert", "key": "keey"}, None),
        ("tls", {"ca": "caaa", "cert": "ceert"}, "key"),
        ("tls", {"ca": "caaa", "key": "keey"}, "cert"),
        ("bearer", {"bearerToken": PLANTED}, None),
        ("bearer", {}, "bearerToken"),
        ("basic", PAIR, None),
        ("basic", {}, "username"),
        ("tls, basic", TLS | PAIR, None),
        ("tls,basic", PAIR, "cert"),
        ("custom", {"customAuthHeader": "header", "customAuthValue": PLANTED}, None),
        ("custom", {"customAuthHeader": "header\n", "customAuthValue": f"{PLANTED}\n"}, None),
        ("custom", {"customAuthHeader": ""}, "customAuthHeader"),
        ("custom", {"customAuthValue": ""}, "customAuthHeader"),
        ("bearer,basic", {"bearerToken": PLANTED, **PAIR}, "authModes"),
        ("oauth", {"oauthTokenURI": "https://id/token", "clientID": "me"}, None),
        ("oauth", {"oauthTokenURI": "https://id/token"}, "clientID"),
        ("apiKey", {}, "apiKey"),
        ("ldap", {}, "authModes"),
    ],
)
def test_authentication(modes: str, auth: dict[str, str], missing: str | None) -> None:
    found = parse(PrometheusParameters, make_trigger({**GOOD, "authModes": modes}, auth))
    assert PLANTED not in repr(found)
    if missing is None:
        assert isinstance(found, PrometheusParameters)
    else:
        assert isinstance(found, list)
        assert found[0].path == f"spec.triggers[0].metadata.{missing}"


def read(reply: bytes | list[bytes], **metadata: str) -> tuple[Reading, list[Asked]]:
    return asyncio.run(_read([reply] if isinstance(reply, bytes) else reply, metadata, {}))


async def _read(replies: list[bytes], metadata: dict[str, str], auth: dict[str, str]) -> tuple[Reading, list[Asked]]:
    left = iter(replies)
    async with Answering(lambda _: next(left)) as server:
        if "oauth" in metadata.get("authModes", ""):
            auth = {**auth, "oauthTokenURI": f"{server.url}/token"}
        told = make_trigger({**GOOD, "serverAddress": f"{server.url}/prom/", **metadata}, auth)
        return await read_once(DEFINITION, told, await make_world()), server.asked


@pytest.mark.parametrize(
    ("body", "strict", "value", "note"),
    [
        ("{}", False, 0, "the query gave nothing; read as 0 (ignoreNullValues)"),
        ('{"data":{"result":[]}}', False, 0, "the query gave nothing; read as 0 (ignoreNullValues)"),
        ('{"data":{"result":[]}}', True, None, "the query gave nothing (ignoreNullValues is false)"),
        ('{"data":{"result":[{"value": []}]}}', False, 0, "gave an element without a value; read as 0"),
        ('{"data":{"result":[{"value": []}]}}', True, None, "gave an element without a value (ignoreNullValues"),
        ('{"data":{"result":[{"value": ["1", "2"]}]}}', False, 2, ""),
        ('{"data":{"result":[{"value": ["1"]}]}}', False, None, "gives an element without a number"),
        ('{"data":{"result":[{},{}]}}', False, None, "gives 2 numbers, and must give one"),
        ('{"data":{"result":[{"value": ["1", "+Inf"]}]}}', False, 0, "the query gave +Inf; read as 0"),
        ('{"data":{"result":[{"value": ["1", "+Inf"]}]}}', True, None, "the query gave +Inf (ignoreNullValues"),
        ('{"data":{"result":[{"value": ["1", "-Inf"]}]}}', False, 0, "the query gave -Inf; read as 0"),
        ('{"data":{"result":[{"value": ["1", "-Inf"]}]}}', True, None, "the query gave -Inf (ignoreNullValues"),
        ('{"data":{"result":[{"value": ["1", "NaN"]}]}}', False, 0, "the query gave NaN; read as 0"),
        ('{"data":{"result":[{"value": ["1", "NaN"]}]}}', True, None, "the query gave NaN (ignoreNullValues"),
        ("<html>", False, None, "did not answer as Prometheus does"),
        ("[]", False, None, "did not answer as Prometheus does"),
    ],
)
def test_what_a_query_gives(body: str, strict: bool, value: float | None, note: str) -> None:
    if value is None:
        with pytest.raises(TemporaryError) as caught:
            read(ok(body), ignoreNullValues=str(not strict))
        assert note in str(caught.value)
        return
    reading, _ = read(ok(body), ignoreNullValues=str(not strict))
    assert reading.value == value
    assert note in reading.note
    assert reading.quality is Quality.WHOLE


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("one", 42.5, ""),
        ("scalar", 42.5, ""),
        ("nothing", 0.0, "the query gave nothing; read as 0"),
        ("infinity", 0.0, "the query gave +Inf; read as 0"),
        ("no number", 0.0, "the query gave NaN; read as 0"),
        ("scalar no number", 0.0, "the query gave NaN; read as 0"),
        ("several", TemporaryError, "gives 2 numbers, and must give one: use sum(…)"),
        ("range", TemporaryError, "gives a matrix, and must give one number"),
        ("text", TemporaryError, "gives a string, and must give one number"),
        (
            "syntax",
            PermanentError,
            'refuses it: invalid parameter "query": 1:11: parse error:',
        ),
        ("execution", TemporaryError, "answered 422"),
    ],
)
def test_recorded_answers(label: str, value: Any, said: str) -> None:
    recorded = RECORDED[label]
    reply = ok(recorded["body"], f"{recorded['status']} Recorded")
    if isinstance(value, float):
        reading, (asked,) = read(reply, query=recorded["query"])
        assert reading.value == value
        assert said in reading.note
        assert parse_qs(urlsplit(asked.target).query) == {"query": [recorded["query"]]}
        return
    with pytest.raises(value) as caught:
        read(reply, query=recorded["query"])
    assert said in str(caught.value)


PART = '{"status": "success", "warnings": ["store-2: no connection"], "data": {"resultType": "vector", "result": %s}}'


def test_a_partial_answer_is_at_least_so_much_and_no_proof_of_emptiness() -> None:
    reading, _ = read(ok(PART % '[{"value": [1, "7"]}]'))
    assert reading == Reading(7.0, quality=Quality.PARTIAL, note="the server calls its answer partial")
    with pytest.raises(TemporaryError, match="gave nothing, and the server calls its answer partial"):
        read(ok(PART % "[]"))
    reading, _ = read(ok((PART % "[]").replace("store-2", "PromQL warning")))
    assert (reading.value, reading.quality) == (0.0, Quality.WHOLE)


def test_what_is_asked() -> None:
    query = 'sum(rate(http_requests_total{path=~"/a+b|c d", code!="5%"}[2m])) #ä&x=1'
    _, (asked,) = read(
        ok('{"data":{"result":[]}}'),
        query=query,
        namespace="shop",
        queryParameters="a=1,tenant = x y&z",
        customHeaders="X-Tenant= t=1 ,X-Other=é",
    )
    parts = urlsplit(asked.target)
    assert parts.path == "/prom/api/v1/query"
    assert parse_qs(parts.query) == {"query": [query], "namespace": ["shop"], "a": ["1"], "tenant": ["x y&z"]}
    assert asked.headers["x-tenant"] == "t=1"
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    ("modes", "auth", "header", "value"),
    [
        ("bearer", {"token": PLANTED}, "authorization", f"Bearer {PLANTED}"),
        ("basic", {"username": "user", "password": "pass"}, "authorization", "Basic dXNlcjpwYXNz"),
        ("custom", {"customAuthHeader": "X-Key", "customAuthValue": PLANTED}, "x-key", PLANTED),
        ("apiKey", {"apiKey": PLANTED, "keyParamName": "X-Mine"}, "x-mine", PLANTED),
    ],
)
def test_credentials(modes: str, auth: dict[str, str], header: str, value: str) -> None:
    empty = ok('{"data":{"result":[]}}')
    _, (asked,) = asyncio.run(_read([empty], {"authModes": modes}, auth))
    assert asked.headers[header] == value
    with pytest.raises(TemporaryError, match=r"/query answered 401: check authModes") as caught:
        asyncio.run(_read([ok(PLANTED, "401 Unauthorized")], {"authModes": modes}, auth))
    assert PLANTED not in str(caught.value)


def test_a_token_that_was_taken_back_is_asked_for_anew() -> None:
    replies = [
        ok('{"access_token": "one", "expires_in": 3600}'),
        ok("", "401 Unauthorized"),
        ok('{"access_token": "two", "expires_in": 3600}'),
        ok('{"data":{"result":[{"value": [1, "3"]}]}}'),
    ]
    auth = {"clientID": "me", "clientSecret": PLANTED, "scopes": "a, b", "endpointParams": "audience=x"}
    reading, asked = asyncio.run(_read(replies, {"authModes": "oauth"}, auth))
    assert reading.value == 3.0
    assert [each.headers.get("authorization") for each in asked][1::2] == ["Bearer one", "Bearer two"]
    assert parse_qs(asked[0].body.decode())["scope"] == ["a b"]


def test_its_target() -> None:
    scaler = DEFINITION.make(parsed({**GOOD, "activationThreshold": "5"}), make_trigger(GOOD), None)  # type: ignore[arg-type]
    assert asyncio.run(scaler.targets()) == (Target("prometheus", 100.0, 5.0),)
