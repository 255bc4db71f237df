from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import TemporaryError
from core.resources.core_services import CORE_SERVICE
from core.resources.discovery_v1 import ENDPOINT_SLICE, SERVICE_NAME_LABEL
from core.resources.kinds import KINDS
from core.store.memory import MemoryStore
from scalers.service_addresses import addresses_of
from tests.support.clock import FakeClock


async def asked(address: str, namespace: str = "shop") -> list[str]:
    store = MemoryStore(KINDS, FakeClock())
    await store.open()
    for name, spec in (
        ("scaler", {"ports": [{"name": "grpc", "port": 9090}, {"name": "web", "port": 80}]}),
        ("asleep", {"ports": [{"port": 9090}]}),
        ("outside", {"type": "ExternalName", "externalName": "scaler.example.com"}),
    ):
        await store.create(CORE_SERVICE, {"metadata": {"namespace": "shop", "name": name}, "spec": spec})
    for number, ports in enumerate(([["grpc", 41001], ["web", 41002]], [["grpc", 41003], ["web", 41004]])):
        piece: dict[str, Any] = {
            "metadata": {
                "namespace": "shop",
                "name": f"scaler-{number}",
                "labels": {SERVICE_NAME_LABEL: "scaler"},
            },
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
                {"addresses": ["127.0.0.9"], "conditions": {"ready": False}},
            ],
            "ports": [{"name": name, "port": port} for name, port in ports],
        }
        await store.create(ENDPOINT_SLICE, piece)
    try:
        return await addresses_of(store, address, namespace)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("address", "found"),
    [
        pytest.param("scaler.shop:9090", ["127.0.0.1:41001", "127.0.0.1:41003"], id="name and namespace"),
        pytest.param("scaler:9090", ["127.0.0.1:41001", "127.0.0.1:41003"], id="its own namespace"),
        pytest.param("scaler.shop.svc:80", ["127.0.0.1:41002", "127.0.0.1:41004"], id="svc, another port"),
        pytest.param("scaler.shop.svc.cluster.local:9090", ["127.0.0.1:41001", "127.0.0.1:41003"], id="in full"),
        pytest.param("scaler.other:9090", ["scaler.other:9090"], id="another namespace has none"),
        pytest.param("outside.shop:443", ["scaler.example.com:443"], id="an external name"),
        pytest.param("127.0.0.1:9090", ["127.0.0.1:9090"], id="an address"),
        pytest.param("[::1]:9090", ["[::1]:9090"], id="an address of six parts"),
        pytest.param("dns:///scaler.shop:9090", ["dns:///scaler.shop:9090"], id="a target of gRPC's"),
        pytest.param("scaler.example.com:9090", ["scaler.example.com:9090"], id="a host of the world"),
        pytest.param("scaler", ["scaler"], id="no port"),
    ],
)
def test_addresses(address: str, found: list[str]) -> None:
    assert asyncio.run(asked(address)) == found


@pytest.mark.parametrize(
    ("address", "words"),
    [
        pytest.param("asleep:9090", "Service shop/asleep has no ready Pods", id="nothing behind it"),
        pytest.param("scaler:1", "Service shop/scaler has no port 1", id="no such port"),
    ],
)
def test_a_service_that_cannot_answer_is_named(address: str, words: str) -> None:
    with pytest.raises(TemporaryError, match=words):
        asyncio.run(asked(address))
