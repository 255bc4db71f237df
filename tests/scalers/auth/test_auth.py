from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from core.errors import PermanentError
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.kinds import KINDS
from core.resources.meta import Json, ObjectKey
from core.store.base import EventType, WatchEvent
from core.store.memory import MemoryStore
from scalers.auth.environment import Workload, read_variables
from scalers.auth.files import read_file, read_parameters
from scalers.auth.lookup import Lookup, Referent, is_another
from tests.support.clock import FakeClock

PLANTED = "s3cr3t-7Hq"


def secret(name: str, namespace: str = "default", **data: str) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": encoded}


def config_map(name: str, namespace: str = "default", **data: str) -> Json:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


async def stored(objects: Iterable[Json]) -> MemoryStore:
    store = MemoryStore(KINDS, FakeClock())
    await store.open()
    for obj in objects:
        await store.create({"Secret": SECRET, "ConfigMap": CONFIG_MAP}[obj["kind"]], obj)
    return store


def from_secret(name: str, key: str, **more: Any) -> Json:
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


def from_config(name: str, key: str, **more: Any) -> Json:
    return {"valueFrom": {"configMapKeyRef": {"name": name, "key": key, **more}}}


OBJECTS = (
    secret("creds", password=PLANTED, user="anna"),
    config_map("settings", HOST="mq", PORT="5672"),
)


def variables(
    names: Iterable[str], env: list[Json] | None = None, env_from: list[Json] | None = None, **pods: Any
) -> tuple[dict[str, str], set[str]]:
    async def run() -> tuple[dict[str, str], set[str]]:
        lookup = Lookup(await stored(OBJECTS))
        container = {"name": "main", "env": env or [], "envFrom": env_from or []}
        workload = Workload("default", {"containers": [container, {"name": "other"}], **pods})
        found = await read_variables(lookup, workload, names)
        return found, {str(referent) for referent in lookup.referents}

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("env", "value", "referents"),
    [
        pytest.param([{"name": "A", "value": "1"}], "1", set(), id="plain"),
        pytest.param([{"name": "A"}], "", set(), id="empty"),
        pytest.param(
            [{"name": "B", "value": "1"}, {"name": "A", "value": "$(B)-$(C)-$$(B)"}],
            "1-$(C)-$(B)",
            {"ConfigMap default/settings", "Secret default/creds"},  # either may define C
            id="references look back",
        ),
        pytest.param([{"name": "A", "value": "$(B)"}, {"name": "B", "value": "1"}], "$(B)", ..., id="and not ahead"),
        pytest.param([{"name": "A", "value": "x"}, {"name": "A", "value": "$(A)y"}], "xy", set(), id="its own former"),
        pytest.param(
            [{"name": "A", **from_secret("creds", "password")}], PLANTED, {"Secret default/creds"}, id="secret"
        ),
        pytest.param(
            [{"name": "P", **from_secret("creds", "password")}, {"name": "A", "value": "amqp://$(P)@mq"}],
            f"amqp://{PLANTED}@mq",
            {"Secret default/creds"},
            id="by way of a secret",
        ),
        pytest.param(
            [{"name": "A", **from_config("settings", "HOST")}, {"name": "Z", **from_secret("gone", "x")}],
            "mq",
            {"ConfigMap default/settings"},
            id="what is not asked for is not missed",
        ),
        pytest.param([{"name": "A", **from_secret("gone", "x", optional=True)}], None, ..., id="optional object"),
        pytest.param([{"name": "A", **from_secret("creds", "x", optional=True)}], None, ..., id="optional key"),
        pytest.param([{"name": "B", "value": "1"}], None, ..., id="not there"),
        pytest.param([{"name": "A", "value": "$(pre_HOST)"}], "mq", ..., id="from whole objects, with their prefix"),
        pytest.param(
            [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
            "default",
            set(),
            id="field",
        ),
    ],
)
def test_variables(env: list[Json], value: str | None, referents: Any) -> None:
    whole = [{"prefix": "pre_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "creds"}}]
    found, asked = variables(["A"], env, whole)
    assert found == ({} if value is None else {"A": value})
    if referents is not ...:
        assert asked <= referents


def test_nothing_is_read_where_nothing_is_asked_for() -> None:
    assert variables([], [{"name": "A", **from_secret("creds", "password")}]) == ({}, set())


@pytest.mark.parametrize(
    ("env", "env_from", "words"),
    [
        pytest.param(
            [{"name": "A", **from_secret("gone", "x")}],
            [],
            "the variable A of container main asks for Secret default/gone, which does not exist: "
            "kubectl create secret generic gone -n default --from-literal=x=…",
            id="no secret",
        ),
        pytest.param(
            [{"name": "A", **from_secret("creds", "pass")}],
            [],
            "the key 'pass' of Secret default/creds, which has the keys password, user: kubectl edit secret creds",
            id="no key",
        ),
        pytest.param(
            [], [{"configMapRef": {"name": "gone"}}], "kubectl create configmap gone -n default", id="no config map"
        ),
        pytest.param(
            [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            [],
            "comes from fieldRef status.podIP, which is not known without one of its Pods",
            id="of each Pod its own",
        ),
    ],
)
def test_what_is_missing_is_named(env: list[Json], env_from: list[Json], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        variables(["A"], env, env_from)
    assert words in str(caught.value)
    assert PLANTED not in str(caught.value)


def test_a_container_that_is_not_there() -> None:
    async def run() -> None:
        workload = Workload("default", {"containers": [{"name": "main"}]}, "mian")
        await read_variables(Lookup(await stored(())), workload, ["A"])

    with pytest.raises(PermanentError, match="has no container 'mian'; it has main"):
        asyncio.run(run())


def test_a_target_without_pods_has_no_variables() -> None:
    async def run() -> dict[str, str]:
        return await read_variables(Lookup(await stored(())), Workload("default", None), ["A"])

    assert asyncio.run(run()) == {}


def test_what_is_no_text_is_told_without_it() -> None:
    async def run() -> None:
        binary = {"kind": "Secret", "metadata": {"name": "bin", "namespace": "default"}, "data": {"k": "/w=="}}
        await Lookup(await stored([binary])).value(Referent(SECRET, ObjectKey("default", "bin")), "k", "spec.x")

    with pytest.raises(PermanentError, match="which is not UTF-8 text") as caught:
        asyncio.run(run())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_file_of_parameters(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "auth.json").write_text('{"username": "anna", "password": "x"}')
    found = asyncio.run(read_parameters(tmp_path, "kafka/auth.json", "spec.filePath"))
    assert found == {"username": "anna", "password": "x"}


def test_a_folder_of_links_as_kubernetes_mounts_secrets(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "token").write_text("abc")
    (tmp_path / "token").symlink_to(tmp_path / "real" / "token")
    assert asyncio.run(read_file(tmp_path, "token", "spec.filePath")) == "abc"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("/etc/passwd", "must be relative", id="absolute"),
        pytest.param("../outside", "without '..'", id="upwards"),
        pytest.param("link", "leads out of", id="a link out"),
        pytest.param("gone.json", "No such file", id="missing"),
        pytest.param("list.json", "must hold a JSON object", id="no object"),
        pytest.param("number.json", "whose values are texts", id="a number"),
        pytest.param("broken.json", "must hold a JSON object", id="no JSON"),
        pytest.param("large.json", "more than 1 MiB", id="too large"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, path: str, words: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside").write_text('{"a": "b"}')
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "list.json").write_text(f'["{PLANTED}"]')
    (root / "number.json").write_text(f'{{"a": 1, "b": "{PLANTED}"}}')
    (root / "broken.json").write_text(f'{{"a": "{PLANTED}"')
    (root / "large.json").write_text(f'{{"a": "{"x" * 1024 * 1024}"}}')
    with pytest.raises(PermanentError) as caught:
        asyncio.run(read_parameters(root, path, "ClusterTriggerAuthentication a: spec.filePath"))
    assert words in str(caught.value)
    assert PLANTED not in str(caught.value)


def test_no_folder_no_files() -> None:
    with pytest.raises(PermanentError, match="start Pilotlight with PILOTLIGHT_AUTH_FILES=FOLDER"):
        asyncio.run(read_parameters(None, "a.json", "spec.filePath"))


@pytest.mark.parametrize(
    ("changed", "another"),
    [
        pytest.param({"data": {"a": "2"}}, True, id="data"),
        pytest.param({"binaryData": {"a": "2"}}, True, id="bytes"),
        pytest.param({"spec": {"env": []}}, True, id="spec"),
        pytest.param({"status": {"scaledobjects": "a"}}, False, id="status"),
        pytest.param({"metadata": {"labels": {"a": "b"}}}, False, id="labels"),
    ],
)
def test_changes_that_resolve_to_something_else(changed: Json, another: bool) -> None:
    old = {"metadata": {"name": "x"}, "data": {"a": "1"}}
    assert is_another(WatchEvent(EventType.MODIFIED, {**old, **changed}, 2, old)) is another
    assert is_another(WatchEvent(EventType.ADDED, old, 1))
    assert is_another(WatchEvent(EventType.DELETED, old, 3, old))
