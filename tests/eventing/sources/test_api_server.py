"""ApiServerSources over a store: changes arrive as events; what is watched follows the document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.resources.conditions import find_condition
from core.resources.core_v1 import CONFIG_MAP, NAMESPACE
from core.resources.meta import Json
from core.resources.sources import API_SERVER_SOURCE
from tests.eventing.controllers.test_broker_and_trigger import FN, condition, make_function, run
from tests.support.eventing import Eventing, eventing, until

HOST = "fn.default.svc.cluster.local"
MAPS: Json = {"apiVersion": "v1", "kind": "ConfigMap"}


async def make(under: Eventing, name: str, namespace: str = "default", **labels: str) -> None:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    await under.store.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})


async def told(under: Eventing, count: int) -> list[tuple[str, str]]:
    await under.received(HOST, count)
    return sorted((event.type.rpartition(".")[2], str(event.attributes["name"])) for event in under.people.got[HOST])


async def until_watching(under: Eventing, spec: Any) -> Json:
    await under.apply(API_SERVER_SOURCE, "s", {"sink": FN, **spec})
    return await under.ready(API_SERVER_SOURCE, "s")


def test_what_happens_is_told_and_what_is_there_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await make(under, "before")
            source = await until_watching(under, {"resources": [MAPS], "mode": "Resource"})
            assert source["status"]["namespaces"] == ["default"]
            assert source["status"]["ceAttributes"][0]["type"] == "dev.knative.apiserver.resource.add"
            await make(under, "a")
            await make(under, "elsewhere", "other")
            await under.store.modify(CONFIG_MAP, "a", "default", lambda now: {**now, "data": {"x": "1"}})
            await under.store.delete(CONFIG_MAP, "a", "default")
            assert await told(under, 3) == [("add", "a"), ("delete", "a"), ("update", "a")]
            assert under.log.stream("apiserversource/default/s").tail == 3

    run(main())


def test_labels_of_objects_and_of_namespaces_and_filters(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.store.create(NAMESPACE, {"metadata": {"name": "blue", "labels": {"team": "blue"}}})
            spec = {
                "resources": [{**MAPS, "selector": {"matchLabels": {"a": "b"}}}],
                "namespaceSelector": {"matchLabels": {"team": "blue"}},
                "filters": [{"suffix": {"type": ".add"}}],
            }
            source = await until_watching(under, spec)
            assert source["status"]["namespaces"] == ["blue"]
            await make(under, "in", "blue", a="b")
            await make(under, "unlabeled", "blue")
            await make(under, "elsewhere", a="b")
            await under.store.delete(CONFIG_MAP, "in", "blue")
            assert await told(under, 1) == [("add", "in")]
            await under.store.create(NAMESPACE, {"metadata": {"name": "navy", "labels": {"team": "blue"}}})

            async def followed() -> bool | None:
                now = await under.store.get(API_SERVER_SOURCE, "s", "default")
                return True if now["status"]["namespaces"] == ["blue", "navy"] else None

            await until(followed, "a namespace that comes later is not watched")
            await make(under, "late", "navy", a="b")
            assert await told(under, 2) == [("add", "in"), ("add", "late")]
            assert under.log.stream("apiserversource/default/s").tail == 2, "what is filtered is not kept"

    run(main())


def test_what_a_status_says_where_nothing_can_be_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(API_SERVER_SOURCE, "s", {"sink": FN, "resources": [MAPS]})
            waiting = await under.ready(API_SERVER_SOURCE, "s", "False")
            assert condition(waiting, "SinkProvided") == ("False", "NotFound")
            await make_function(under)
            await under.ready(API_SERVER_SOURCE, "s")
            unknown = {"apiVersion": "example.com/v1", "kind": "Widget"}
            await under.apply(API_SERVER_SOURCE, "s", {"sink": FN, "resources": [unknown]})
            wrong = await under.ready(API_SERVER_SOURCE, "s", "False")
            assert condition(wrong, "Deployed") == ("False", "InvalidSource")
            message = (find_condition(wrong, "Deployed") or {})["message"]
            assert message == "no kind Widget of example.com/v1 is served here"
            await make(under, "nobody-looks")
            await under.store.delete(API_SERVER_SOURCE, "s", "default")

            async def forgotten() -> bool | None:
                return None if any(each.name.startswith("apiserversource") for each in under.log.streams()) else True

            await until(forgotten, "its stream is still there")

    run(main())
