from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from core.errors import TemporaryError
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.meta import Json
from core.store.memory import MemoryStore
from scalers.kubernetes_resource import ResourceParameters
from scalers.params import parse
from scalers.readings import Target
from tests.support.inside_scalers import a_trigger, make_world, scaler_of

ASKED = {"resourceKind": "ConfigMap", "resourceName": "load", "key": "queue", "targetValue": "5"}


async def read(text: str, metadata: dict[str, str], kind: str = "ConfigMap") -> float:
    world = make_world()
    assert isinstance(world.store, MemoryStore)
    await world.store.open()
    stored, value = (SECRET, base64.b64encode(text.encode()).decode()) if kind == "Secret" else (CONFIG_MAP, text)
    obj: Json = {"metadata": {"name": "load", "namespace": "shop"}, "data": {"queue": value}}
    await world.store.create(stored, obj)
    scaler = scaler_of(a_trigger("kubernetes-resource", {**ASKED, "resourceKind": kind, **metadata}), world)
    assert await scaler.targets() == (Target(f"{kind.lower()}-load-queue", 5.0, 0.0),)
    try:
        (reading,) = await scaler.read()
        return reading.value
    finally:
        await scaler.close()
        await world.store.close()


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize(
    ("text", "metadata", "value"),
    [
        pytest.param("25", {}, 25.0, id="a number"),
        pytest.param("2.5\n", {}, 2.5, id="a fraction"),
        pytest.param("2k", {"valueType": "quantity"}, 2000.0, id="a quantity"),
        pytest.param("7", {"valueType": "int64"}, 7.0, id="a whole number"),
        pytest.param('{"a": {"b": 3}}', {"format": "json", "valueLocation": "a.b"}, 3.0, id="json"),
        pytest.param("a:\n  b: 1k\n", {"format": "yaml", "valueLocation": "a.b"}, 1000.0, id="yaml"),
    ],
)
def test_values(text: str, metadata: dict[str, str], value: float, kind: str) -> None:
    assert asyncio.run(read(text, metadata, kind)) == value


@pytest.mark.parametrize(
    ("text", "metadata", "said"),
    [
        ("hunter22", {}, "Secret shop/load: key queue leads to a text that is neither a number nor a quantity"),
        ("2.5", {"valueType": "int64"}, "leads to a number that is not whole"),
        ('{"a": 1}', {"format": "json", "valueLocation": "b"}, "key queue at b leads to nothing"),
        ("hunter22", {"format": "json", "valueLocation": "b"}, "key queue at b cannot be looked up"),
        ("1", {"key": "other"}, "Secret shop/load has no key other"),
        ("1", {"resourceName": "other"}, "there is no Secret shop/other"),
    ],
)
def test_what_is_no_number_is_an_error_that_shows_no_secret(text: str, metadata: dict[str, str], said: str) -> None:
    async def main() -> None:
        world = make_world()
        assert isinstance(world.store, MemoryStore)
        await world.store.open()
        data = {"queue": base64.b64encode(text.encode()).decode()}
        await world.store.create(SECRET, {"metadata": {"name": "load", "namespace": "shop"}, "data": data})
        scaler = scaler_of(a_trigger("kubernetes-resource", {**ASKED, "resourceKind": "Secret", **metadata}), world)
        with pytest.raises(TemporaryError) as caught:
            await scaler.read()
        assert said in str(caught.value)
        assert "hunter22" not in str(caught.value)
        await world.store.close()

    asyncio.run(main())


def test_it_hears_of_every_change_until_the_store_is_closed() -> None:
    async def main() -> None:
        world, heard = make_world(), list[bool]()
        assert isinstance(world.store, MemoryStore)
        await world.store.open()
        scaler: Any = scaler_of(a_trigger("kubernetes-resource", ASKED), world)

        async def until(expected: list[bool]) -> None:
            async with asyncio.timeout(5):
                while heard != expected:
                    await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            run = group.create_task(scaler.run(heard.append))
            await asyncio.sleep(0.01)
            for name in ("other", "load"):
                await world.store.create(
                    CONFIG_MAP, {"metadata": {"name": name, "namespace": "shop"}, "data": {"queue": "3"}}
                )
            await until([True])
            await world.store.modify(CONFIG_MAP, "load", "shop", lambda obj: {**obj, "data": {"queue": "0"}})
            await until([True, False])
            await world.store.delete(CONFIG_MAP, "load", "shop")
            await until([True, False, False])
            await world.store.close()
            async with asyncio.timeout(5):
                await run

    asyncio.run(main())


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"resourceKind": "Pod"}, "resourceKind"),
        ({"valueLocation": "a"}, "is for the formats json and yaml"),
        ({"format": "yaml"}, "is missing"),
        ({"format": "json", "valueLocation": "@pretty"}, "modifiers"),
        ({"targetValue": "0"}, "targetValue"),
    ],
)
def test_refusals(metadata: dict[str, str], said: str) -> None:
    found = parse(ResourceParameters, a_trigger("kubernetes-resource", {**ASKED, **metadata}))
    assert isinstance(found, list)
    assert any(said in str(error) for error in found)
