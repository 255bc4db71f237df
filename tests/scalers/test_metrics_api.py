"""The tables are those of pkg/scalers/metrics_api_scaler_test.go (KEDA 2.20.2), and answers of a real Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import PermanentError, TemporaryError
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE
from scalers.metrics_api import DEFINITION, MetricsApiParameters
from scalers.params import parse
from scalers.readings import Quality, Reading, Target
from tests.support.answering import Answering, Asked, ok
from tests.support.scaling import make_trigger, make_world, read_once

PLANTED = "s3cr3t-7Hq"
RECORDED = Path(__file__).parent / "recorded"
GOOD = {"url": "http://dummy:1230/api/v1/", "valueLocation": "metric", "targetValue": "42"}
TLS = {"ca": "caaa", "cert": "ceert", "key": PLANTED}


@pytest.mark.parametrize(
    "more",
    [{}, {"timeout": "1000"}, {"unsafeSsl": "true"}, {"format": "YAML"}, {"aggregationType": "max"}],
    ids=str,
)
def test_well_formed(more: dict[str, str]) -> None:
    assert isinstance(parse(MetricsApiParameters, make_trigger(GOOD | more)), MetricsApiParameters)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"targetValue": "aa"}, "must be greater than 0.0"),
        ({"targetValue": "0"}, "must be greater than 0.0"),
        ({"targetValue": ""}, "is required"),
        ({"activationTargetValue": "aa"}, "must be a number"),
        ({"valueLocation": ""}, "is required"),
        ({"url": ""}, "is required"),
        ({"url": "dummy:1230"}, "must be a URL"),
        ({"timeout": "-1"}, "is not a duration"),
        ({"timeout": "a"}, "is not a duration"),
        ({"unsafeSsl": "yes"}, "must be true or false"),
        ({"format": "csv"}, "must be one of json, xml, yaml, prometheus"),
        ({"valueLocation": "@reverse"}, "is '@reverse', must be a path of GJSON"),
        ({"valueLocation": "a{b=c}", "format": "prometheus"}, "has 'b=c' between its braces"),
        ({"aggregationType": "median"}, "must be one of average, sum, max, min"),
    ],
    ids=str,
)
def test_malformed(changed: dict[str, str], words: str) -> None:
    found = parse(MetricsApiParameters, make_trigger(GOOD | changed))
    assert isinstance(found, list)
    assert [each.path for each in found] == [f"spec.triggers[0].metadata.{next(iter(changed))}"]
    assert words in found[0].message


@pytest.mark.parametrize(
    ("mode", "auth", "missing"),
    [
        ("tls", TLS, None),
        ("tls", {"cert": "ceert", "key": "keey"}, None),
        ("tls", {"ca": "caaa", "cert": "ceert"}, "key"),
        ("tls", {"ca": "caaa", "key": "keey"}, "cert"),
        ("apiKey", {"apiKey": PLANTED}, None),
        ("apiKey", {"apiKey": PLANTED, "method": "query"}, None),
        ("apiKey", {"apiKey": PLANTED, "method": "header", "keyParamName": "custom"}, None),
        ("apiKey", {"apiKey": PLANTED, "method": "query", "keyParamName": "custom"}, None),
        ("apiKey", {}, "apiKey"),
        ("basic", {"username": "user", "password": PLANTED}, None),
        ("basic", {}, "username"),
        ("bearer", {"token": PLANTED}, None),
        ("bearer", {}, "bearerToken"),
        ("apiKey,tls", {"apiKey": PLANTED, **TLS}, None),
    ],
)
def test_authentication(mode: str, auth: dict[str, str], missing: str | None) -> None:
    found = parse(MetricsApiParameters, make_trigger({**GOOD, "authMode": mode}, auth))
    assert PLANTED not in repr(found)
    paths = [each.path for each in found] if isinstance(found, list) else []
    assert paths == ([] if missing is None else [f"spec.triggers[0].metadata.{missing}"])


def read(reply: bytes | Callable[[Asked], bytes], metadata: dict[str, str], **auth: str) -> tuple[Reading, list[Asked]]:
    async def run() -> tuple[Reading, list[Asked]]:
        async with Answering(reply if callable(reply) else lambda _: reply) as server:
            told = make_trigger({**GOOD, "url": f"{server.url}/api/v1/", **metadata}, auth)
            return await read_once(DEFINITION, told, await make_world()), server.asked

    return asyncio.run(run())


JSON = '{"components":[{"id": "82328e93e", "tasks": 32, "str": "64", "k":"1k","wrong":"NaN"}],"count":2.43}'
YAML = "{components: [{id: 82328e93e, tasks: 32, str: '64', k: 1k, wrong: NaN}], count: 2.43, 1: {2: 3}}"
XML = (
    '<?xml version="1.0"?><stats xmlns="urn:x"><components><item><tasks>32</tasks></item><item><tasks>7</tasks></item>'
    "</components><count> 2.43 </count><k>1k</k><wrong>NaN</wrong><empty/></stats>"
)


@pytest.mark.parametrize(
    ("format_", "body", "location", "value"),
    [
        ("json", JSON, "count", 2.43),
        ("json", JSON, "components.0.str", 64),
        ("json", JSON, "components.0.tasks", 32),
        ("json", JSON, "components.0.k", 1000),
        ("json", JSON, "components.#", 1),
        ("json", JSON, "components.0.wrong", "a text that is neither a number nor a quantity such as 1k"),
        ("json", JSON, "components", "leads to a list, must lead to a number"),
        ("json", JSON, "components.0", "leads to an object"),
        ("json", JSON, "components.1.tasks", "'components.1.tasks' leads to nothing"),
        ("json", '{"count": null}', "count", "leads to null"),
        ("json", '{"count": true}', "count", "leads to true or false"),
        ("json", "<html>", "count", "the answer is no JSON"),
        ("yaml", YAML, "count", 2.43),
        ("yaml", YAML, "components.0.str", 64),
        ("yaml", YAML, "components.0.tasks", 32),
        ("yaml", YAML, "components.0.k", 1000),
        ("yaml", YAML, "1.2", 3),
        ("yaml", YAML, "components.0.wrong", "neither a number nor a quantity"),
        ("yaml", YAML, "count.more", "leads to nothing"),
        ("yaml", "{a: .nan}", "a", "leads to nan, which is no number"),
        ("yaml", "{a: .inf}", "a", "leads to inf, which is no number"),
        ("yaml", "{", "a", "the answer is no YAML"),
        ("xml", XML, "count", 2.43),
        ("xml", XML, "stats.count", 2.43),
        ("xml", XML, "stats.components.item.1.tasks", 7),
        ("xml", XML, "k", 1000),
        ("xml", XML, "wrong", "neither a number nor a quantity"),
        ("xml", XML, "empty", "neither a number nor a quantity"),
        ("xml", XML, "gone", "leads to nothing"),
        ("xml", "<a", "a", "the answer is no XML"),
        ("xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a", "declares a document type"),
        ("prometheus", 'q{a="b"} 3\n', "q", 3),
        ("prometheus", 'q{a="b"} 3\n', 'q{a="c"}', "leads to nothing"),
        ("prometheus", "q NaN\n", "q", "leads to nan"),
        ("prometheus", "q +Inf\n", "q", "leads to inf"),
    ],
)
def test_values(format_: str, body: str, location: str, value: Any) -> None:
    metadata = {"format": format_, "valueLocation": location}
    if not isinstance(value, str):
        assert read(ok(body), metadata)[0] == Reading(value)
        return
    with pytest.raises(TemporaryError) as caught:
        read(ok(body), metadata)
    assert value in str(caught.value)
    assert f"/api/v1/: valueLocation {location!r} " in str(caught.value)


def test_a_large_answer() -> None:
    body = orjson.dumps({"padding": "x" * 200_000, "count": 3})
    assert read(ok(body), {"valueLocation": "count"})[0] == Reading(3.0)


@pytest.mark.parametrize(
    ("file", "format_", "location", "value"),
    [
        ("prometheus_tsdb.json", "json", "data.headStats.numSeries", 13),
        ("exposition.txt", "prometheus", 'prometheus_tsdb_head_samples_appended_total{type="float"}', 460),
    ],
)
def test_recorded_answers(file: str, format_: str, location: str, value: float) -> None:
    body = (RECORDED / file).read_text()
    if file.endswith(".json"):
        body = orjson.loads(body)["body"]
    assert read(ok(body), {"format": format_, "valueLocation": location})[0].value == value


@pytest.mark.parametrize(
    ("mode", "auth", "expected"),
    [
        ("bearer", {"token": PLANTED}, {"authorization": f"Bearer {PLANTED}"}),
        ("apiKey", {"apiKey": PLANTED}, {"x-api-key": PLANTED}),
        ("apiKey", {"apiKey": PLANTED, "keyParamName": "custom"}, {"custom": PLANTED}),
        ("basic", {"username": "user", "password": "pass"}, {"authorization": "Basic dXNlcjpwYXNz"}),
        ("custom", {"customAuthHeader": "X-A", "customAuthValue": PLANTED}, {"x-a": PLANTED}),
        ("apiKey", {"apiKey": PLANTED, "method": "query"}, f"/api/v1/?api_key={PLANTED}"),
        ("apiKey", {"apiKey": PLANTED, "method": "query", "keyParamName": "k"}, f"/api/v1/?k={PLANTED}"),
    ],
)
def test_credentials(mode: str, auth: dict[str, str], expected: Any) -> None:
    _, (asked,) = read(ok('{"metric": 1}'), {"authMode": mode}, **auth)
    if isinstance(expected, str):
        assert asked.target == expected
    else:
        assert expected.items() <= asked.headers.items()
    with pytest.raises(TemporaryError, match=r"/api/v1/ answered 418$") as caught:
        read(ok(PLANTED, "418 I'm a teapot"), {"authMode": mode}, **auth)
    assert PLANTED not in str(caught.value)


def service(port: int, *addresses: str) -> list[Any]:
    piece = {
        "metadata": {"name": "api-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "api"}},
        "addressType": "IPv4",
        "ports": [{"name": "web", "port": port}],
        "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
    }
    ports = [{"name": "web", "port": 80, "targetPort": 9090}]
    return [
        (CORE_SERVICE, {"metadata": {"name": "api", "namespace": "default"}, "spec": {"ports": ports}}),
        (ENDPOINT_SLICE, piece),
    ]


async def together(reply: Callable[[Asked], bytes], kind: str, url: str = "http://api.default:9090/n") -> Reading:
    """Three Pods at three addresses of this machine."""
    async with Answering(reply, host="0.0.0.0") as server:
        world = await make_world(service(server.port, "127.0.0.1", "127.0.0.2", "127.0.0.3"))
        more = {"aggregateFromKubeServiceEndpoints": "true", "aggregationType": kind, "url": url}
        return await read_once(DEFINITION, make_trigger(GOOD | more), world)


def of_each(*bodies: str) -> Callable[[Asked], bytes]:
    left = iter(bodies)
    return lambda _: ok(next(left))


@pytest.mark.parametrize(
    ("kind", "value"), [("average", 20.0), ("sum", 60.0), ("max", 30.0), ("min", 10.0)], ids=lambda each: str(each)
)
def test_values_of_all_pods_together(kind: str, value: float) -> None:
    bodies = of_each('{"metric": 10}', '{"metric": 20}', '{"metric": 30}')
    assert asyncio.run(together(bodies, kind)) == Reading(value)


def test_pods_that_do_not_answer_leave_the_whole_unknown() -> None:
    left = iter([ok('{"metric": 20}'), ok("", "500 Oh"), ok("{}")])
    reading = asyncio.run(together(lambda _: next(left), "average"))
    assert (reading.value, reading.quality) == (20.0, Quality.PARTIAL)
    assert reading.note.startswith("1 of 3 Pods gave a value: http://127.0.0.")
    with pytest.raises(TemporaryError, match=r"none of 3 Pods gave a value: http://127.0.0.\d:\d+/n answered 500"):
        asyncio.run(together(lambda _: ok("", "500 Oh"), "average"))


def test_what_is_no_service_has_no_pods() -> None:
    with pytest.raises(TemporaryError, match="names no Service of the platform"):
        asyncio.run(together(lambda _: ok(), "sum", "http://127.0.0.1:1/n"))


def test_its_target() -> None:
    told = make_trigger({**GOOD, "valueLocation": "metric.test", "activationTargetValue": "3.8"})
    parameters = parse(MetricsApiParameters, told)
    assert isinstance(parameters, MetricsApiParameters)
    scaler = DEFINITION.make(parameters, told, None)  # type: ignore[arg-type]
    assert asyncio.run(scaler.targets()) == (Target("metric-api-metric-test", 42.0, 3.8),)


def test_certificates_that_are_none_are_permanent() -> None:
    with pytest.raises(PermanentError, match="certificates cannot be used") as caught:
        read(ok(), {"authMode": "tls"}, **TLS)
    assert PLANTED not in str(caught.value)
