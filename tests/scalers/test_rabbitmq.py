"""The scaler with a real RabbitMQ, over both of its protocols."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from core.clients.rabbitmq_terms import NOT_FOUND, QueueCounts, RabbitmqRefused
from core.clock import SystemClock
from core.errors import TemporaryError
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE, SERVICE_NAME_LABEL
from core.store.memory import MemoryStore
from scalers.base import Scaler, World
from scalers.rabbitmq import STATISTICS_AGE_S, metric_name, read_depth
from scalers.rabbitmq_broker import Uncounted
from scalers.readings import MetricType, Quality, Reading, Target
from tests.support.queues import working
from tests.support.rabbitmq import Rabbitmq
from tests.support.scalers import make_scaler, make_trigger, make_world, reading_of, target_of

Judge = Callable[[Reading], bool]


def run(body: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await body

    asyncio.run(bounded())


def by_http(rabbitmq: Rabbitmq, vhost: str, **more: str) -> dict[str, str]:
    return {"host": f"{rabbitmq.http_url}/{quote(vhost, safe='')}", "queueName": "q", **more}


def by_amqp(rabbitmq: Rabbitmq, vhost: str, **more: str) -> dict[str, str]:
    host = f"amqp://guest:guest@127.0.0.1:{rabbitmq.port}/{quote(vhost, safe='')}"
    return {"host": host, "queueName": "q", "managementHost": f"http://127.0.0.1:{rabbitmq.http_port}", **more}


def scaler_of(metadata: Mapping[str, str], world: World | None = None, **more: Any) -> Scaler:
    return make_scaler(make_trigger("rabbitmq", metadata, **more), world or make_world(SystemClock()))


async def read_until(scaler: Scaler, good: Judge, seconds: float = 20.0) -> Reading:
    """Statistics are taken every second here; until then a new queue is not counted."""
    deadline, found = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            found = await reading_of(scaler)
        except TemporaryError as error:
            found = error
        else:
            if good(found):
                return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"the last reading was {found!r}")


# -- what is counted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [by_http, by_amqp])
def test_messages_count_until_they_are_acknowledged(
    rabbitmq: Rabbitmq, vhost: str, protocol: Callable[..., dict[str, str]]
) -> None:
    async def body() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            scaler = scaler_of(protocol(rabbitmq, vhost))
            assert await target_of(scaler) == Target("rabbitmq-q", 20.0)
            await read_until(scaler, lambda reading: reading.value == 0)
            await work.put("q", 12)
            await read_until(scaler, lambda reading: reading.value == 12)
            await work.take("q", 5)
            reading = await read_until(scaler, lambda reading: reading.in_flight == 5)
            assert reading.value == 12
            assert reading.quality is Quality.WHOLE
            work.finish()
            await work.take("q", 7)
            work.finish()
            reading = await read_until(scaler, lambda r: r.value == 0 and r.quality is Quality.WHOLE)
            assert (reading.in_flight, reading.caveat) == (0, "")
            await read_until(scaler, lambda reading: (reading.produced, reading.consumed) == (12, 12))
            await scaler.close()

    run(body())


def test_a_first_message_is_seen_over_amqp_at_once(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            scaler = scaler_of(by_amqp(rabbitmq, vhost))
            await read_until(scaler, lambda reading: reading.value == 0)
            await work.put("q", 1)
            assert (await reading_of(scaler)).value == 1
            await scaler.close()

    run(body())


def test_what_consumers_hold_can_be_left_out(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 12)
            await work.take("q", 5)
            scaler = scaler_of(by_http(rabbitmq, vhost, excludeUnacknowledged="true"))
            assert (await read_until(scaler, lambda reading: reading.value == 7)).in_flight is None
            await scaler.close()

    run(body())


def test_an_empty_queue_proves_nothing_before_statistics_had_their_time() -> None:
    counts = QueueCounts("q", published=9, acknowledged=9)
    just = read_depth(0, counts, STATISTICS_AGE_S - 0.1)
    assert (just.value, just.quality, just.in_flight) == (0, Quality.PARTIAL, None)
    assert "just become empty" in just.note
    later = read_depth(0, counts, STATISTICS_AGE_S)
    assert (later.value, later.quality, later.in_flight, later.produced) == (0, Quality.WHOLE, 0, 9)


@pytest.mark.parametrize(("missed", "quality"), [(False, Quality.WHOLE), (True, Quality.PARTIAL)])
def test_what_consumers_hold_may_be_unknown(missed: bool, quality: Quality) -> None:
    reading = read_depth(3, Uncounted("it does not answer", missed), 0.0)
    assert (reading.value, reading.in_flight, reading.quality) == (3, None, quality)
    assert reading.caveat == "unacknowledged messages are not counted: it does not answer"


def test_amqp_without_a_management_api_says_so(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 2)
            for where, words in (("none", "no management API is known"), ("http://127.0.0.1:1", "127.0.0.1:1")):
                scaler = scaler_of(by_amqp(rabbitmq, vhost, managementHost=where))
                reading = await reading_of(scaler)
                assert (reading.value, reading.in_flight, reading.quality) == (2, None, Quality.WHOLE)
                assert reading.caveat.startswith("unacknowledged messages are not counted: ")
                assert words in reading.caveat
                await scaler.close()

    run(body())


def test_modes_that_measure_rates(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        world = make_world(SystemClock())
        modes = ("MessageRate", "DeliverGetRate", "PublishedToDeliveredRatio", "ExpectedQueueConsumptionTime")
        async with working(rabbitmq, vhost, ["q"]) as work:
            scalers = {m: scaler_of(by_http(rabbitmq, vhost, mode=m, value="5"), world) for m in modes}
            await read_until(scalers["MessageRate"], lambda reading: reading.value == 0)
            for scaler in scalers.values():
                reading = await reading_of(scaler)
                assert (reading.value, reading.activity) == (0, 0), scaler
            async with asyncio.TaskGroup() as group:
                putting = group.create_task(work.keep_putting("q", 60))
                drain = scalers["ExpectedQueueConsumptionTime"]
                unserved = await read_until(drain, lambda reading: reading.value > 0)
                assert (unserved.value, unserved.quality) == (5, Quality.PARTIAL)  # one replica: nobody consumes yet
                published = await read_until(scalers["MessageRate"], lambda reading: reading.value > 30)
                assert published.value == pytest.approx(55, rel=0.5)
                assert published.activity >= published.value
                assert (await reading_of(scalers["PublishedToDeliveredRatio"])).quality is Quality.PARTIAL
                taking = group.create_task(work.keep_taking("q", 20))
                delivered = await read_until(scalers["DeliverGetRate"], lambda r: r.quality is Quality.WHOLE)
                assert delivered.value == pytest.approx(20, rel=0.5)
                ratio = await read_until(scalers["PublishedToDeliveredRatio"], lambda r: r.quality is Quality.WHOLE)
                assert ratio.value > 1
                assert (await read_until(drain, lambda r: r.quality is Quality.WHOLE)).value > 5
                putting.cancel()
                taking.cancel()
            for scaler in scalers.values():
                await scaler.close()
            assert len(world.pools) == 0

    run(body())


def test_a_regular_expression_over_several_pages(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        names = [f"orders-{number:02}" for number in range(23)]
        async with working(rabbitmq, vhost, [*names, "bills"]) as work:
            for number, name in enumerate(names):
                await work.put(name, number)
            await work.put("bills", 1000)
            pattern = {"queueName": "^orders-", "useRegex": "true", "pageSize": "5"}
            world = make_world(SystemClock())
            for operation, expected in (("sum", 253), ("avg", 11), ("max", 22)):
                scaler = scaler_of(by_http(rabbitmq, vhost, **pattern, operation=operation), world)
                whole = (float(expected), Quality.WHOLE)
                reading = await read_until(scaler, lambda r, whole=whole: (r.value, r.quality) == whole)  # type: ignore[misc]
                assert (reading.in_flight, reading.produced) == (0, None)  # orders-00 has published nothing yet
                await scaler.close()
            nothing = scaler_of(by_http(rabbitmq, vhost, queueName="^nobody-", useRegex="true"), world)
            assert await reading_of(nothing) == Reading(0.0, in_flight=0.0, note="no queue matches")
            await nothing.close()

    run(body())


@pytest.mark.parametrize("host", ["a/b", "with space", "per%cent+plus", "ü"])
def test_virtual_hosts_and_queues_of_any_name(rabbitmq: Rabbitmq, host: str) -> None:
    async def body() -> None:
        rabbitmq.add_vhost(host)
        try:
            async with working(rabbitmq, host) as work:
                for name in ("a/b", "two words", "50%+"):
                    await work.declare(name)
                    await work.put(name, 3)
                    for protocol in (by_http, by_amqp):
                        scaler = scaler_of(protocol(rabbitmq, host, queueName=name))
                        await read_until(scaler, lambda reading: reading.value == 3)
                        await scaler.close()
                    named = {**by_http(rabbitmq, "/"), "queueName": name, "vhostName": host}
                    scaler = scaler_of(named)
                    await read_until(scaler, lambda reading: reading.value == 3)
                    await scaler.close()
        finally:
            await asyncio.to_thread(rabbitmq.ask, "DELETE", f"vhosts/{quote(host, safe='')}")

    run(body())


def test_a_backlog_of_twenty_megabytes(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 2000, size=10 * 1024)
            exact = scaler_of(by_amqp(rabbitmq, vhost))
            assert (await reading_of(exact)).value == 2000
            counted = scaler_of(by_http(rabbitmq, vhost))
            await read_until(counted, lambda reading: reading.value == 2000)
            await exact.close()
            await counted.close()

    run(body())


@pytest.mark.parametrize("host", ["rabbit", "rabbit.default.svc.cluster.local"])
def test_a_host_may_be_a_service_of_the_platform(rabbitmq: Rabbitmq, vhost: str, host: str) -> None:
    async def body() -> None:
        world = make_world(SystemClock())
        assert isinstance(world.store, MemoryStore)
        await world.store.open()
        ports = {"amqp": (5672, rabbitmq.port), "management": (15672, rabbitmq.http_port)}
        meant = [{"name": name, "port": port} for name, (port, _) in ports.items()]
        found = [{"name": name, "port": port} for name, (_, port) in ports.items()]
        name = {"namespace": "default", "name": "rabbit"}
        await world.store.create(CORE_SERVICE, {"metadata": name, "spec": {"ports": meant}})
        piece = {
            "metadata": {**name, "labels": {SERVICE_NAME_LABEL: "rabbit"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            "ports": found,
        }
        await world.store.create(ENDPOINT_SLICE, piece)
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 3)
            for url in (f"amqp://guest:guest@{host}/{vhost}", f"http://guest:guest@{host}:15672/{vhost}"):
                scaler = scaler_of({"host": url, "queueName": "q"}, world)
                reading = await read_until(scaler, lambda reading: reading.value == 3 and reading.in_flight == 0)
                assert reading.caveat == ""
                await scaler.close()
        await world.store.close()

    run(body())


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [by_http, by_amqp])
def test_a_missing_queue_is_unknown_and_comes_back(
    rabbitmq: Rabbitmq, vhost: str, protocol: Callable[..., dict[str, str]]
) -> None:
    async def body() -> None:
        world = make_world(SystemClock())
        async with working(rabbitmq, vhost, ["other"]) as work:
            scaler, other = (
                scaler_of(protocol(rabbitmq, vhost), world),
                scaler_of(protocol(rabbitmq, vhost, queueName="other"), world),
            )
            await read_until(other, lambda reading: reading.value == 0)
            with pytest.raises(RabbitmqRefused, match=f"queue q does not exist in virtual host {vhost} of") as refused:
                await reading_of(scaler)
            assert refused.value.code == NOT_FOUND
            assert (await reading_of(other)).value == 0  # the connection is none the worse for it
            await work.declare("q")
            await work.put("q", 4)
            await read_until(scaler, lambda reading: reading.value == 4)
            await asyncio.to_thread(rabbitmq.ask, "DELETE", f"queues/{vhost}/q")
            await asyncio.sleep(2.1)  # what was counted before may be told for so long
            with pytest.raises(TemporaryError):
                await reading_of(scaler)
            await work.declare("q")
            await read_until(scaler, lambda reading: reading.value == 0)
            await scaler.close()
            await other.close()

    run(body())


@pytest.mark.parametrize("protocol", [by_http, by_amqp])
def test_a_wrong_password_is_told_without_it(
    rabbitmq: Rabbitmq, vhost: str, protocol: Callable[..., dict[str, str]]
) -> None:
    async def body() -> None:
        auth = {"username": "guest", "password": "hunter2-wrong"}
        scaler = scaler_of(protocol(rabbitmq, vhost), auth=auth)
        with pytest.raises(TemporaryError) as failed:
            await reading_of(scaler)
        assert "does not let user guest in" in str(failed.value)
        assert "hunter2" not in str(failed.value) + repr(failed.value) + repr(failed.value.__cause__)
        await scaler.close()

    run(body())


@pytest.mark.parametrize("protocol", [by_http, by_amqp])
def test_a_user_without_the_tag_has_rights_in_amqp_alone(
    rabbitmq: Rabbitmq, vhost: str, protocol: Callable[..., dict[str, str]]
) -> None:
    async def body() -> None:
        rabbitmq.add_user("plain", "hunter2-plain")
        rabbitmq.allow("plain", vhost)
        async with working(rabbitmq, vhost, ["q"]):
            scaler = scaler_of(protocol(rabbitmq, vhost), auth={"username": "plain", "password": "hunter2-plain"})
            words = "does not let user plain in (Not management user); it needs the tag management or monitoring"
            if protocol is by_http:
                with pytest.raises(RabbitmqRefused) as failed:
                    await reading_of(scaler)
                assert words in str(failed.value)
            else:
                assert words in (await reading_of(scaler)).caveat
            await scaler.close()

    run(body())


def test_rotated_credentials(rabbitmq: Rabbitmq, vhost: str) -> None:
    """A scaler of other credentials has connections of its own; those of the old end with it."""

    async def body() -> None:
        world = make_world(SystemClock())
        rabbitmq.add_user("rotating", "first-secret", "management")
        rabbitmq.allow("rotating", vhost)
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 2)

            def scalers(password: str) -> list[Scaler]:
                auth = {"username": "rotating", "password": password}
                return [scaler_of(each(rabbitmq, vhost), world, auth=auth) for each in (by_http, by_amqp)]

            before = scalers("first-secret")
            for scaler in before:
                await read_until(scaler, lambda reading: reading.value == 2)
            rabbitmq.add_user("rotating", "second-secret", "management")
            assert (await reading_of(before[1])).value == 2  # AMQP asks for a password once
            await asyncio.sleep(2.1)
            with pytest.raises(TemporaryError, match="does not let user rotating in"):
                await reading_of(before[0])
            after = scalers("second-secret")
            for scaler in (*after, *before):
                if scaler in after:
                    assert (await reading_of(scaler)).value == 2
                else:
                    await scaler.close()
            for scaler in after:
                assert (await reading_of(scaler)).value == 2
                await scaler.close()
            assert len(world.pools) == 0

    run(body())


@pytest.mark.parametrize("protocol", [by_http, by_amqp])
def test_rabbitmq_killed_and_restarted_in_mid_reading(
    rabbitmq: Rabbitmq, vhost: str, protocol: Callable[..., dict[str, str]]
) -> None:
    """There is never a number that is not so: errors until it counts again, then what was stored."""

    async def body() -> None:
        async with working(rabbitmq, vhost, ["q"]) as work:
            await work.put("q", 50)
            scaler = scaler_of(protocol(rabbitmq, vhost))
            await read_until(scaler, lambda reading: reading.value == 50)
            seen: list[Reading | TemporaryError] = []
            alive = True

            async def watch() -> None:
                while alive:
                    try:
                        seen.append(await reading_of(scaler))
                    except TemporaryError as error:
                        seen.append(error)
                    await asyncio.sleep(0.02)

            async with asyncio.TaskGroup() as group:
                group.create_task(watch())
                await asyncio.to_thread(rabbitmq.kill)
                await asyncio.to_thread(rabbitmq.start)
                deadline = time.monotonic() + 30
                while not (isinstance(seen[-1], Reading) and seen[-1].quality is Quality.WHOLE):
                    assert time.monotonic() < deadline, seen[-1]
                    await asyncio.sleep(0.1)
                alive = False
            assert any(isinstance(each, TemporaryError) for each in seen)
            assert {each.value for each in seen if isinstance(each, Reading)} == {50}
            await scaler.close()

    run(body())


# -- sharing -----------------------------------------------------------------------------------------------------------


def connections(rabbitmq: Rabbitmq, name: str) -> int:
    """Of AMQP, as RabbitMQ counts them."""
    found = rabbitmq.ask("GET", "connections?columns=client_properties.connection_name")
    return sum(name in str(each) for each in found)


def test_two_hundred_queues_are_two_connections_and_one_question(rabbitmq: Rabbitmq, vhost: str) -> None:
    async def body() -> None:
        world = make_world(SystemClock())
        names = [f"q{number:03}" for number in range(200)]
        async with working(rabbitmq, vhost, names) as work:
            await asyncio.gather(*(work.put(name, number % 7) for number, name in enumerate(names)))
            expected = [number % 7 for number in range(200)]
            # The user stands in the URL of one and in managementHost's place of the other: the same management API.
            http = [scaler_of(by_http(rabbitmq, vhost, queueName=name), world) for name in names]
            amqp = [scaler_of(by_amqp(rabbitmq, vhost, queueName=name), world) for name in names]
            await read_until(http[-1], lambda reading: reading.value == expected[-1])
            await read_until(http[0], lambda reading: reading.value == 0)
            await asyncio.gather(*(reading_of(scaler) for scaler in amqp))  # finds the management API
            assert len(world.pools) == 3  # depths, the management API, and how the one finds the other
            (statistics,) = [each for each, _ in world.pools._lent.values() if hasattr(each, "management")]
            await asyncio.sleep(2.1)  # no answer is older
            asked = statistics.management.requests
            readings = await asyncio.gather(*(reading_of(scaler) for scaler in (*http, *amqp)))
            assert statistics.management.requests == asked + 1
            assert [reading.value for reading in readings] == expected * 2
            opened = [each.opened for each, _ in world.pools._lent.values() if hasattr(each, "opened")]
            assert opened == [1]
            for scaler in (*http, *amqp):
                await scaler.close()
            assert len(world.pools) == 0

    run(body())


@pytest.mark.parametrize(
    ("queue", "name"),
    [("sample", "rabbitmq-sample"), ("namespace/name", "rabbitmq-namespace-2Fname"), ("a b", "rabbitmq-a+b")],
)
def test_metrics_have_upstreams_names(queue: str, name: str) -> None:
    assert metric_name(queue) == name


def test_its_target_is_as_the_trigger_says() -> None:
    metadata = {
        "host": "http://rabbit",
        "queueName": "q",
        "mode": "MessageRate",
        "value": "2.5",
        "activationValue": "1",
    }
    scaler = scaler_of(metadata, make_world(), metric_type=MetricType.VALUE)
    assert asyncio.run(target_of(scaler)) == Target("rabbitmq-q", 2.5, 1.0, MetricType.VALUE)
