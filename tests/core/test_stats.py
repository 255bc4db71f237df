"""The bus hands every statistic to every listener, in the publisher's own turn."""

from __future__ import annotations

import asyncio

from core.stats import Backlog, Backlogs, InstanceKey, NoLoads, NoUsage, RequestStatistic, RevisionKey, StatisticBus


def test_every_listener_gets_every_statistic_at_once() -> None:
    bus = StatisticBus()
    first: list[RequestStatistic] = []
    second: list[RequestStatistic] = []
    bus.subscribe(first.append)
    bus.subscribe(second.append)
    statistic = RequestStatistic(RevisionKey("default", "hello-00001"), 5.0, 1.0, 0.5, 3, 1)
    bus.publish(statistic)
    assert first == second == [statistic]
    bus.unsubscribe(first.append)
    bus.publish(statistic)
    assert (len(first), len(second)) == (1, 2)


def test_without_a_data_path_every_instance_is_idle() -> None:
    instance = InstanceKey("default", "pod", "uid")
    assert NoLoads().in_flight(instance) == 0
    assert asyncio.run(NoLoads().drain(instance, 1.0)) is True


def test_without_a_node_nothing_is_known_of_any_instance() -> None:
    assert asyncio.run(NoUsage().usage_of([InstanceKey("default", "pod", "uid")])) == {}


def test_a_backlog_is_told_when_it_changes_and_only_then() -> None:
    backlogs = Backlogs()
    heard: list[Backlog | None] = []
    end = backlogs.listen("trigger/default/orders", heard.append)
    assert backlogs.of("trigger/default/orders") is None
    for backlog in (Backlog(3), Backlog(3), Backlog(3, in_flight=1), Backlog(0), None, None):
        backlogs.note("trigger/default/orders", backlog)
        backlogs.note("trigger/default/others", Backlog(9))
    assert heard == [Backlog(3), Backlog(3, in_flight=1), Backlog(0), None]
    assert backlogs.of("trigger/default/others") == Backlog(9)
    end()
    backlogs.note("trigger/default/orders", Backlog(1))
    assert len(heard) == 4
