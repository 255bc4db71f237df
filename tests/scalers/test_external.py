"""external and external-push against external scalers that have nothing of ours, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from core.errors import FieldError, PermanentError, TemporaryError
from core.resources.kinds import KINDS
from core.resources.meta import ObjectKey
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from scalers.base import Pushing, Scaler, World
from scalers.external import ExternalParameters
from scalers.params import parse, unknown_parameters
from scalers.pools import Pools
from scalers.readings import MetricType, Reading, Target, Trigger
from scalers.registry import definition_of
from tests.support.clock import FakeClock
from tests.support.external_scaler import Scripted, certified, server_credentials, serving, until

SECRET = "sesame-open"


def world() -> World:
    clock = FakeClock()
    return World(clock, MemoryStore(KINDS, clock), StatisticBus(), Pools())


def trigger(port: int, push: bool = False, metadata: dict[str, str] | None = None, **more: Any) -> Trigger:
    told = {"scalerAddress": f"127.0.0.1:{port}", **(metadata or {})}
    return Trigger(ObjectKey("shop", "orders"), 0, "external-push" if push else "external", told, **more)


def made(trigger: Trigger, world: World) -> Any:
    definition = definition_of(trigger.type)
    parameters = parse(definition.parameters, trigger)
    assert not isinstance(parameters, list), parameters
    if definition.check is not None:
        definition.check(parameters, trigger)
    return definition.make(parameters, trigger, world)


def with_scaler(script: Scripted, use: Callable[[Any], Awaitable[None]], push: bool = False, **more: Any) -> None:
    async def main() -> None:
        house = world()
        async with serving(script) as port:
            scaler: Scaler = made(trigger(port, push, **more), house)
            try:
                await use(scaler)
            finally:
                await scaler.close()
        assert len(house.pools) == 0

    asyncio.run(main())


def test_what_it_measures_is_scaled_by() -> None:
    script = Scripted([("lag", 10, 0.0, 35, 0.0), ("age", 0, 0.5, 0, 1.25)])

    async def use(scaler: Any) -> None:
        assert await scaler.targets() == (Target("lag", 10.0), Target("age", 0.5))
        assert await scaler.read() == [Reading(35.0, activation=1.0), Reading(1.25, activation=1.0)]
        script.active = False
        assert await scaler.read() == [Reading(35.0, activation=0.0), Reading(1.25, activation=0.0)]

    with_scaler(script, use)
    assert {method for method, _ in script.asked} == {"GetMetricSpec", "GetMetrics", "IsActive"}


def test_it_is_handed_the_whole_metadata_with_variables_resolved() -> None:
    script = Scripted()

    async def use(scaler: Any) -> None:
        await scaler.read()

    told = {"queue": "orders", "passwordFromEnv": "PASSWORD", "tokenFromEnv": "MISSING"}
    with_scaler(script, use, metadata=told, env={"PASSWORD": SECRET})
    ref = next(request for method, request in script.asked if method == "IsActive")
    assert (ref.name, ref.namespace) == ("orders", "shop")
    address = ref.scalerMetadata["scalerAddress"]
    assert dict(ref.scalerMetadata) == {"scalerAddress": address, "queue": "orders", "passwordFromEnv": SECRET}


def test_any_parameter_may_be_one_of_its_own() -> None:
    assert unknown_parameters(ExternalParameters, {"scalerAddress": "a:1", "whatever": "x"}) == []


def test_several_values_of_one_metric_are_added_up() -> None:
    script = Scripted([("lag", 0, 5.0, 0, 1.5), ("lag", 0, 5.0, 4, 0.0)])

    async def use(scaler: Any) -> None:
        assert [reading.value for reading in await scaler.read()] == [5.5, 5.5]

    with_scaler(script, use)


def test_the_metric_type_is_the_triggers() -> None:
    async def use(scaler: Any) -> None:
        (target,) = await scaler.targets()
        assert target.metric_type is MetricType.VALUE

    with_scaler(Scripted(), use, metric_type=MetricType.VALUE)
    with pytest.raises(PermanentError, match="Utilization is for cpu and memory"):
        with_scaler(Scripted(), use, metric_type=MetricType.UTILIZATION)


@pytest.mark.parametrize(
    ("metrics", "error", "words"),
    [
        pytest.param([], PermanentError, "names no metric", id="nothing to scale by"),
        pytest.param([("lag", 0, 0.0, 1, 0.0)], PermanentError, "'lag' held at 0", id="a target of 0"),
        pytest.param([("lag", -5, 0.0, 1, 0.0)], PermanentError, "held at -5", id="a target below"),
        pytest.param([("lag", 0, float("inf"), 1, 0.0)], PermanentError, "held at inf", id="a target without end"),
        pytest.param([("lag", 5, 0.0, 1, float("nan"))], TemporaryError, "'lag' is nan", id="not a number"),
        pytest.param([("lag", 5, 0.0, 1, float("inf"))], TemporaryError, "'lag' is inf", id="without end"),
    ],
)
def test_nonsense_is_never_a_number(metrics: Any, error: type[Exception], words: str) -> None:
    async def use(scaler: Any) -> None:
        with pytest.raises(error, match=words):
            await scaler.read()

    with_scaler(Scripted(metrics), use)


def test_less_than_nothing_is_nothing() -> None:
    async def use(scaler: Any) -> None:
        assert await scaler.read() == [Reading(0.0, activation=1.0, note="it said -3")]

    with_scaler(Scripted([("lag", 5, 0.0, -3, 0.0)]), use)


def test_an_answer_without_a_value_is_no_zero() -> None:
    script = Scripted()

    async def use(scaler: Any) -> None:
        await scaler.targets()
        script.metrics = []
        with pytest.raises(TemporaryError, match="without a value of 'lag'"):
            await scaler.read()

    with_scaler(script, use)


@pytest.mark.parametrize("method", ["GetMetricSpec", "GetMetrics", "IsActive"])
def test_wherever_it_fails_nothing_is_known_and_no_secret_told(method: str) -> None:
    async def use(scaler: Any) -> None:
        with pytest.raises(TemporaryError) as caught:
            await scaler.read()
        assert method in str(caught.value)
        assert "cannot log in with ****" in str(caught.value)

    script = Scripted(fails={method: (grpc.StatusCode.UNAVAILABLE, f"cannot log in with {SECRET}")})
    with_scaler(script, use, metadata={"passwordFromEnv": "PASSWORD"}, env={"PASSWORD": SECRET})


def test_one_channel_for_all_triggers_of_an_address_and_credential() -> None:
    async def main() -> None:
        house = world()
        async with serving(Scripted()) as port, serving(Scripted()) as other:
            scalers = [made(trigger(port, metadata={"queue": str(number)}), house) for number in range(5)]
            scalers.append(made(trigger(other), house))
            assert len(house.pools) == 0  # nothing before somebody asks
            for scaler in scalers:
                await scaler.read()
            assert len(house.pools) == 2
            for scaler in scalers:
                await scaler.close()
            assert len(house.pools) == 0

    asyncio.run(main())


# --- pushes


async def running(scaler: Pushing, heard: list[bool], use: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:
        run = group.create_task(scaler.run(heard.append))
        await use()
        run.cancel()


def test_each_push_is_told_in_its_order_and_idleness_too() -> None:
    script, heard = Scripted(), list[bool]()

    async def use(scaler: Any) -> None:
        async def push() -> None:
            for active in (True, True, False, True):
                before = len(heard)
                script.pushes.put_nowait(active)
                await until(lambda before=before: len(heard) > before)  # type: ignore[misc]

        await running(scaler, heard, push)

    with_scaler(script, use, push=True)
    assert heard == [True, True, False, True]
    assert not isinstance(made(trigger(1), world()), Pushing)


def test_a_stream_that_ends_is_wanted_again() -> None:
    script = Scripted()
    script.pushes.put_nowait(None)

    async def use(scaler: Any) -> None:
        with pytest.raises(TemporaryError, match="ended its stream"):
            await scaler.run(lambda active: None)

    with_scaler(script, use, push=True)


def test_one_that_pushes_nothing_says_so() -> None:
    async def use(scaler: Any) -> None:
        with pytest.raises(PermanentError, match="StreamIsActive: UNIMPLEMENTED"):
            await scaler.run(lambda active: None)
        assert await scaler.read()

    script = Scripted(fails={"StreamIsActive": (grpc.StatusCode.UNIMPLEMENTED, "")})
    with_scaler(script, use, push=True)


def test_pushes_come_again_from_one_that_is_restarted() -> None:
    async def main() -> None:
        heard, port = list[bool](), await free_port()
        scaler = made(trigger(port, push=True), world())

        async def keep() -> None:
            """As the loop does: a stream that broke is wanted again."""
            while True:
                with suppress(TemporaryError):
                    await scaler.run(heard.append)
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(keep())
            for life, active in enumerate((True, False, True)):
                script = Scripted()
                async with serving(script, port):
                    script.pushes.put_nowait(active)
                    await until(lambda: len(heard) > life, 30)  # noqa: B023
            keeping.cancel()
        await scaler.close()
        assert heard == [True, False, True]

    asyncio.run(main())


async def free_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


def test_targets_follow_what_it_says_of_them() -> None:
    script, heard = Scripted(streams_specs=True), list[bool]()

    async def use(scaler: Any) -> None:
        assert await scaler.targets() == (Target("lag", 5.0),)

        async def push() -> None:
            script.specs.put_nowait([("lag", 5.0)])  # the same, as each stream begins
            script.specs.put_nowait([("lag", 8.0)])
            await until(lambda: heard)
            assert await scaler.targets() == (Target("lag", 8.0),)
            assert await scaler.read() == [Reading(12.5, activation=1.0)]

        await running(scaler, heard, push)
        assert heard == [True]

    with_scaler(script, use, push=True)
    assert [method for method, _ in script.asked].count("GetMetricSpec") == 1


# --- parameters


OWN = certified("scaler.shop.svc")


@pytest.mark.parametrize(
    ("metadata", "auth"),
    [
        pytest.param({}, {"caCert": OWN.authority}, id="caCert"),
        pytest.param({"tlsCertFile": "FILE"}, {}, id="tlsCertFile"),
        pytest.param({"unsafeSsl": "true", "enableTLS": "true"}, {}, id="unsafeSsl"),
        pytest.param(
            {},
            {"caCert": OWN.authority, "tlsClientCert": OWN.certificate, "tlsClientKey": OWN.key},
            id="a certificate of ours",
        ),
    ],
)
def test_tls(metadata: dict[str, str], auth: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(OWN.authority)
    metadata = {name: str(file) if value == "FILE" else value for name, value in metadata.items()}

    async def main() -> None:
        house = world()
        async with serving(Scripted(), credentials=server_credentials(OWN, mutual="tlsClientCert" in auth)) as port:
            scaler = made(trigger(port, metadata=metadata, auth=auth), house)
            assert await scaler.read() == [Reading(12.5, activation=1.0)]
            await scaler.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "auth", "path", "words"),
    [
        pytest.param({"scalerAddress": ""}, {}, "scalerAddress", "is required", id="no address"),
        pytest.param({"enableTLS": "maybe"}, {}, "enableTLS", "true or false", id="no truth"),
        pytest.param({}, {"tlsClientCert": "x"}, "tlsClientKey", "belong together", id="half a pair"),
    ],
)
def test_what_is_wrong_names_the_field(metadata: dict[str, str], auth: dict[str, str], path: str, words: str) -> None:
    wrong = parse(ExternalParameters, trigger(1, metadata=metadata, auth=auth))
    assert isinstance(wrong, list)
    (error,) = wrong
    assert isinstance(error, FieldError)
    assert error.path == f"spec.triggers[0].metadata.{path}"
    assert words in error.message
