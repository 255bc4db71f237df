"""The client against an external scaler that has nothing of ours, over real connections of the loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import pytest

from core.clients.external_scaler import ExternalScalerClient
from core.clients.external_scaler_access import UNIMPLEMENTED, ExternalScalerAccess
from core.clients.external_scaler_messages import MetricSpec, MetricValue, ScaledObjectRef
from core.errors import PermanentError, TemporaryError
from tests.support.external_scaler import Scripted, certified, server_credentials, serving

REF = ScaledObjectRef("orders", "shop", {"queue": "orders", "empty": ""})


async def asked(access: ExternalScalerAccess, ref: ScaledObjectRef = REF) -> Any:
    client = ExternalScalerClient(access)
    try:
        return await client.metrics(ref, "lag")
    finally:
        await client.close()


def test_every_question_reaches_it_with_all_that_it_needs() -> None:
    async def main() -> None:
        script = Scripted([("lag", 3, 0.0, 7, 0.0), ("age", 0, 1.5, 0, 2.25)])
        async with serving(script) as port:
            client = ExternalScalerClient(ExternalScalerAccess((f"127.0.0.1:{port}",)))
            assert await client.metric_specs(REF) == [MetricSpec("lag", 3), MetricSpec("age", 0, 1.5)]
            assert await client.metrics(REF, "age") == [MetricValue("age", 0, 2.25)]
            assert await client.is_active(REF) is True
            await client.close()
        methods = [method for method, _ in script.asked]
        assert methods == ["GetMetricSpec", "GetMetrics", "IsActive"]
        for ref in (script.asked[0][1], script.asked[1][1].scaledObjectRef, script.asked[2][1]):
            assert (ref.name, ref.namespace, dict(ref.scalerMetadata)) == ("orders", "shop", REF.metadata)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, TemporaryError, None),
        (grpc.StatusCode.INTERNAL, TemporaryError, None),
        (grpc.StatusCode.UNKNOWN, TemporaryError, None),
        (grpc.StatusCode.INVALID_ARGUMENT, PermanentError, "InvalidArgument"),
        (grpc.StatusCode.UNIMPLEMENTED, PermanentError, UNIMPLEMENTED),
        (grpc.StatusCode.UNAUTHENTICATED, PermanentError, "Unauthenticated"),
    ],
)
def test_its_errors_are_told(code: grpc.StatusCode, error: type[Exception], reason: str | None) -> None:
    async def main() -> None:
        async with serving(Scripted(fails={"GetMetrics": (code, "queue is\nnot there")})) as port:
            access = ExternalScalerAccess((f"127.0.0.1:{port}",))
            words = rf"127.0.0.1:{port} did not answer GetMetrics: {code.name} \(queue is not there\)"
            with pytest.raises(error, match=words) as caught:
                await asked(access)
            assert getattr(caught.value, "reason", None) == reason

    asyncio.run(main())


def test_nobody_there() -> None:
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1:1 did not answer GetMetrics: UNAVAILABLE"):
        asyncio.run(asked(ExternalScalerAccess(("127.0.0.1:1",))))


def test_one_that_is_restarted_is_found_again() -> None:
    async def main() -> None:
        async with serving(Scripted()) as port:
            client = ExternalScalerClient(ExternalScalerAccess((f"127.0.0.1:{port}",)))
            assert await client.is_active(REF)
        with pytest.raises(TemporaryError):
            await client.is_active(REF)
        async with serving(Scripted(active=False), port):
            async with asyncio.timeout(20):
                while True:
                    try:
                        assert await client.is_active(REF) is False
                        break
                    except TemporaryError:
                        await asyncio.sleep(0.05)
        await client.close()

    asyncio.run(main())


def test_copies_of_one_scaler_are_asked_in_turn() -> None:
    async def main() -> None:
        first, second = Scripted(), Scripted()
        async with serving(first) as one, serving(second) as two:
            client = ExternalScalerClient(ExternalScalerAccess((f"127.0.0.1:{one}", f"127.0.0.1:{two}")))
            async with asyncio.timeout(10):
                while not (first.asked and second.asked):
                    await client.is_active(REF)
            await client.close()

    asyncio.run(main())


OWN = certified("scaler.shop.svc")
OTHER = certified("scaler.shop.svc")
EXPIRED = certified("scaler.shop.svc", days=-1)


@pytest.mark.parametrize(
    ("server", "mutual", "access", "answers"),
    [
        pytest.param(OWN, False, {"ca": OWN.authority}, True, id="its authority is trusted"),
        pytest.param(OWN, False, {"ca": OTHER.authority}, False, id="another authority is"),
        pytest.param(OWN, False, {}, False, id="those of this machine are"),
        pytest.param(OWN, False, {"unverified": True}, True, id="whatever it shows"),
        pytest.param(OWN, False, {"ca": OWN.authority, "server_name": "scaler.shop.svc"}, True, id="by its name"),
        pytest.param(OWN, False, {"ca": OWN.authority, "server_name": "other.shop.svc"}, False, id="by another name"),
        pytest.param(OWN, True, {"ca": OWN.authority}, False, id="it wants to know us"),
        pytest.param(
            OWN,
            True,
            {"ca": OWN.authority, "certificate": OWN.certificate, "key": OWN.key},
            True,
            id="it knows us",
        ),
        pytest.param(
            OWN,
            True,
            {"unverified": True, "certificate": OWN.certificate, "key": OWN.key},
            True,
            id="it knows us, and may show whatever it has",
        ),
        pytest.param(EXPIRED, False, {"ca": EXPIRED.authority}, False, id="its certificate has expired"),
        pytest.param(OWN, False, {"tls": False}, False, id="we do not speak TLS"),
    ],
)
def test_tls(server: Any, mutual: bool, access: dict[str, Any], answers: bool) -> None:
    async def main() -> None:
        async with serving(Scripted(), credentials=server_credentials(server, mutual=mutual)) as port:
            told = ExternalScalerAccess((f"127.0.0.1:{port}",), **{"tls": True, **access})
            if answers:
                assert await asked(told) == [MetricValue("lag", 0, 12.5)]
            else:
                with pytest.raises(TemporaryError, match="UNAVAILABLE"):
                    await asked(told)

    asyncio.run(main())


def test_whatever_it_shows_may_change_while_it_is_away() -> None:
    async def main() -> None:
        async with serving(Scripted(), credentials=server_credentials(OWN)) as port:
            access = ExternalScalerAccess((f"127.0.0.1:{port}",), tls=True, unverified=True)
            client = ExternalScalerClient(access)
            assert await client.is_active(REF)
        async with serving(Scripted(), port, server_credentials(OTHER)):
            async with asyncio.timeout(20):
                while True:
                    try:
                        assert await client.is_active(REF)
                        break
                    except TemporaryError:
                        await asyncio.sleep(0.05)
        await client.close()

    asyncio.run(main())


def test_a_key_is_shown_nowhere() -> None:
    access = ExternalScalerAccess(("a:1",), key=OWN.key)
    assert OWN.key not in repr(access)
    assert replace(access, key="other") != access
