from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from core.resources.meta import ObjectKey
from scalers.cron import CronParameters, CronScaler, metric_name
from scalers.params import parse
from scalers.readings import Target, Trigger
from tests.support.clock import FakeClock

WEEKDAYS = {"timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "10"}
NIGHT = {**WEEKDAYS, "start": "30 22 * * *", "end": "30 6 * * *"}
AT_TWO = {**WEEKDAYS, "start": "30 2 * * *", "end": "0 4 * * *"}


def parameters(metadata: dict[str, str]) -> CronParameters:
    found = parse(CronParameters, Trigger(ObjectKey("default", "x"), 0, "cron", metadata))
    assert isinstance(found, CronParameters), found
    return found


@pytest.mark.parametrize(
    ("metadata", "berlin", "replicas"),
    [
        pytest.param(WEEKDAYS, "2026-11-20 07:59:59", 0, id="Friday before it opens"),
        pytest.param(WEEKDAYS, "2026-11-20 08:00:00", 10, id="as it opens"),
        pytest.param(WEEKDAYS, "2026-11-20 17:59:59", 10, id="before it closes"),
        pytest.param(WEEKDAYS, "2026-11-20 18:00:00", 0, id="as it closes"),
        pytest.param(WEEKDAYS, "2026-11-21 12:00:00", 0, id="Saturday"),
        pytest.param(NIGHT, "2026-11-21 00:00:00", 10, id="over midnight"),
        pytest.param(NIGHT, "2026-11-21 12:00:00", 0, id="noon"),
        pytest.param(NIGHT, "2026-03-29 05:00:00", 10, id="the night that summer time begins"),
        pytest.param(NIGHT, "2026-03-29 06:30:00", 0, id="and its end"),
        pytest.param(NIGHT, "2026-10-25 06:29:00", 10, id="the night that summer time ends"),
        pytest.param(AT_TWO, "2026-03-28 03:00:00", 10, id="half past two"),
        pytest.param(AT_TWO, "2026-03-28 12:00:00", 0, id="the day before a start that summer time skips"),
        pytest.param(AT_TWO, "2026-03-29 01:59:59", 0, id="the moment before it"),
        pytest.param(AT_TWO, "2026-03-29 03:15:00", 10, id="after it"),
        pytest.param(AT_TWO, "2026-03-29 04:00:00", 0, id="the end of that window"),
    ],
)
def test_windows(metadata: dict[str, str], berlin: str, replicas: int) -> None:
    clock = FakeClock(wall=datetime.fromisoformat(berlin).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    scaler = CronScaler(parameters(metadata), clock)
    (reading,) = asyncio.run(scaler.read())
    assert reading.value == replicas


@pytest.mark.parametrize(
    ("utc", "replicas"),
    [
        pytest.param("2026-10-25 00:29:00", 0, id="02:29 in summer time"),
        pytest.param("2026-10-25 00:30:00", 10, id="02:30 in summer time: it opens"),
        pytest.param("2026-10-25 01:10:00", 10, id="02:10 again: it stays open"),
        pytest.param("2026-10-25 02:30:00", 10, id="03:30 in winter time"),
        pytest.param("2026-10-25 03:00:00", 0, id="04:00 in winter time: it closes"),
    ],
)
def test_an_hour_that_is_repeated(utc: str, replicas: int) -> None:
    clock = FakeClock(wall=datetime.fromisoformat(utc + "+00:00").timestamp())
    (reading,) = asyncio.run(CronScaler(parameters(AT_TWO), clock).read())
    assert reading.value == replicas


def test_its_target_is_one_replica_each() -> None:
    scaler = CronScaler(parameters(WEEKDAYS), FakeClock())
    assert asyncio.run(scaler.targets()) == (Target("cron-Europe-Berlin-08xx1-5-018xx1-5", 1.0),)
    assert metric_name(parameters({**WEEKDAYS, "start": "*/5 8 ? * *"})).startswith("cron-Europe-Berlin-xSl58Qmxx-")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"timezone": "Mars/Olympus"}, "time zone database", id="a zone that is none"),
        pytest.param({"start": "61 * * * *"}, "minutes must be from 0 to 59", id="a schedule that is none"),
        pytest.param({"end": WEEKDAYS["start"]}, "needs an end of its own", id="no window"),
        pytest.param({"desiredReplicas": "-1"}, "at least 0", id="replicas"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, str], words: str) -> None:
    found = parse(CronParameters, Trigger(ObjectKey("default", "x"), 0, "cron", {**WEEKDAYS, **changed}))
    assert isinstance(found, list)
    assert [each.path for each in found] == [f"spec.triggers[0].metadata.{next(iter(changed))}"]
    assert words in found[0].message
