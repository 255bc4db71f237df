"""The bus hands every statistic to every listener, in the publisher's own turn."""

from __future__ import annotations

import asyncio

from core.stats import InstanceKey, NoLoads, RequestStatistic, RevisionKey, StatisticBus


def test_every_listener_gets_every_statistic_at_once() -> None:
    bus = StatisticBus()
    first: list[RequestStatistic] = []
    second: list[RequestStatistic] = []
    bus.subscribe(first.append)
    bus.subscribe(second.append)
    statistic = RequestStatistic(RevisionKey("default", "hello-00001"), 5.0, 1.0, 0.5, 3, 1)
    bus.publish(statistic)
    assert first == second == [statistic]


def test_without_a_data_path_every_instance_is_idle() -> None:
    instance = InstanceKey("default", "pod", "uid")
    assert NoLoads().in_flight(instance) == 0
    assert asyncio.run(NoLoads().drain(instance, 1.0)) is True
