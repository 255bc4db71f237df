from __future__ import annotations

import asyncio

from core.stats import RequestStatistic, RevisionKey, StatisticBus
from scalers.request_meter import KEPT_S, RequestMeter
from tests.support.clock import FakeClock

HELLO = RevisionKey("shop", "hello-00001")


def report(at: float, count: float = 1.0, in_flight: int = 0, revision: RevisionKey = HELLO) -> RequestStatistic:
    return RequestStatistic(revision, at, 1.0, 0.5, count, in_flight)


def test_sums_over_a_window() -> None:
    bus, clock = StatisticBus(), FakeClock()
    meter = RequestMeter(bus, clock)
    for second in range(10):
        bus.publish(report(1000.0 + second, count=second))
    requests = meter.of(HELLO)
    assert requests is not None
    assert requests.since(1004.0) == (2.5, 5 + 6 + 7 + 8 + 9)
    assert requests.since(2000.0) == (0, 0)


def test_silence_after_work_is_not_knowing() -> None:
    bus = StatisticBus()
    meter = RequestMeter(bus, FakeClock())
    bus.publish(report(1000.0, in_flight=2))
    requests = meter.of(HELLO)
    assert requests is not None
    assert requests.is_known(1003.0)
    assert not requests.is_known(1003.1)
    bus.publish(report(1004.0, in_flight=0))
    assert requests.is_known(9999.0)


def test_listeners_hear_of_work_after_none() -> None:
    bus = StatisticBus()
    meter, heard = RequestMeter(bus, FakeClock()), list[float]()
    end = meter.listen("shop", lambda statistic: heard.append(statistic.at))
    for at, in_flight in ((1.0, 0), (2.0, 3), (3.0, 4), (4.0, 0), (5.0, 1)):
        bus.publish(report(at, in_flight=in_flight))
    bus.publish(report(6.0, in_flight=1, revision=RevisionKey("far", "hello-00001")))
    assert heard == [2.0, 5.0]
    bus.publish(RequestStatistic(HELLO, 7.0, 0.0, 0.0, 1.0, 2, poke=True))
    assert heard == [2.0, 5.0, 7.0]
    end()
    bus.publish(report(8.0, in_flight=0))
    bus.publish(report(9.0, in_flight=1))
    assert heard == [2.0, 5.0, 7.0]


def test_what_is_silent_for_long_is_forgotten() -> None:
    bus = StatisticBus()
    meter = RequestMeter(bus, FakeClock())
    bus.publish(report(1.0))
    for second in range(3):
        bus.publish(report(2.0 + KEPT_S + second, revision=RevisionKey("shop", "other-00001")))
    assert meter.of(HELLO) is None
    asyncio.run(meter.close())
    bus.publish(report(9999.0))
    assert meter.of(HELLO) is None
