"""The tables are those of pkg/scalers/nats_jetstream_scaler_test.go (KEDA 2.20.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import TemporaryError
from scalers.nats_jetstream import DEFINITION, NatsJetStreamParameters
from scalers.params import parse
from scalers.readings import Reading, Target
from tests.support.answering import Answering, ok
from tests.support.scaling import make_trigger, make_world, read_once

RECORDED = orjson.loads((Path(__file__).parent / "recorded" / "nats.json").read_bytes())["alone"]
WHERE = "natsServerMonitoringEndpoint"
GOOD = {WHERE: "localhost:8222", "account": "$G", "stream": "mystream", "consumer": "pull_consumer"}
ENDPOINT = {WHERE: "nats.nats:8222"}


def without(*names: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.items() if key not in names}


@pytest.mark.parametrize(
    ("metadata", "auth"),
    [
        ({**GOOD, "accountID": "$G", "useHttps": "false"}, {}),
        ({**GOOD, **ENDPOINT, "useHttps": "true"}, {}),
        ({**without("account"), "accountID": "$G"}, {}),
        ({**GOOD, "activationLagThreshold": "10"}, {}),
        (without(WHERE), ENDPOINT),
        ({**without(WHERE), "lagThreshold": "6"}, ENDPOINT),
        (without(WHERE, "account"), {**ENDPOINT, "account": "$G"}),
        ({**GOOD, WHERE: "[::1]:8222"}, {}),
    ],
)
def test_well_formed(metadata: dict[str, str], auth: dict[str, str]) -> None:
    assert isinstance(parse(NatsJetStreamParameters, make_trigger(metadata, auth)), NatsJetStreamParameters)


@pytest.mark.parametrize(
    ("metadata", "auth", "wrong"),
    [
        ({}, {}, [WHERE, "stream", "consumer"]),
        (without("account"), {}, ["account"]),
        (without("stream"), {}, ["stream"]),
        (without("consumer"), {}, ["consumer"]),
        (without("consumer", WHERE), {}, [WHERE, "consumer"]),
        ({**GOOD, "activationLagThreshold": "Y"}, {}, ["activationLagThreshold"]),
        (
            without(WHERE),
            {WHERE: ""},
            [WHERE],
        ),
        ({**GOOD, "useHttps": "error"}, {}, ["useHttps"]),
        ({**GOOD, "lagThreshold": "Y"}, ENDPOINT, ["lagThreshold"]),
        ({**GOOD, "lagThreshold": "0"}, {}, ["lagThreshold"]),
        (without("account", WHERE), ENDPOINT, ["account"]),
        ({**GOOD, WHERE: "http://nats:8222"}, {}, [WHERE]),
    ],
)
def test_malformed(metadata: dict[str, str], auth: dict[str, str], wrong: list[str]) -> None:
    found = parse(NatsJetStreamParameters, make_trigger(metadata, auth))
    assert isinstance(found, list)
    assert [each.path for each in found] == [f"spec.triggers[0].metadata.{name}" for name in wrong]


def read(body: Any, metadata: Mapping[str, str] = GOOD) -> Reading:
    async def run() -> Reading:
        async with Answering(lambda _: ok(orjson.dumps(body))) as server:
            told = make_trigger({**metadata, WHERE: f"127.0.0.1:{server.port}"})
            return await read_once(DEFINITION, told, await make_world())

    return asyncio.run(run())


def jsz(stream: str = "mystream", consumer: str = "pull_consumer", pending: int = 0, **more: int) -> Any:
    detail = {"name": stream, "consumer_detail": [{"name": consumer, "num_pending": pending, **more}]}
    return {"account_details": [{"name": "$G", "stream_detail": [detail]}]}


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(jsz(), 0, id="no messages waiting"),
        pytest.param(jsz(pending=100), 100, id="messages waiting"),
        pytest.param(jsz(pending=7, num_ack_pending=3), 10, id="and in hand"),
        pytest.param(jsz(consumer="pull_consumer_bad", pending=100), None, id="consumer missing"),
        pytest.param(jsz(stream="mystreamBad", pending=100), None, id="stream missing"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_upstreams_answers(body: Any, value: float | None) -> None:
    if value is None:
        with pytest.raises(TemporaryError):
            read(body)
    else:
        assert read(body).value == value


def test_a_recorded_answer() -> None:
    reading = read(RECORDED["three acknowledged"], {**GOOD, "stream": "ORDERS", "consumer": "workers"})
    assert reading == Reading(97.0, in_flight=4.0, produced=100.0, consumed=3.0)


def test_its_target() -> None:
    told = make_trigger({**GOOD, "lagThreshold": "5", "activationLagThreshold": "2"})
    parameters = parse(NatsJetStreamParameters, told)
    assert isinstance(parameters, NatsJetStreamParameters)
    scaler = DEFINITION.make(parameters, told, None)  # type: ignore[arg-type]
    assert asyncio.run(scaler.targets()) == (Target("nats-jetstream-mystream", 5.0, 2.0),)
