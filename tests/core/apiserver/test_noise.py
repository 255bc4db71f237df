"""Documents that are almost right, in every verb: no answer is an accident, and nothing is stored that cannot be read.

Covers core.apiserver as a whole. The seeds are fixed: a failure is found again with the same command.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from core.resources.meta import Json
from tests.support.api import Api, config_map, deployment, pod

REQUESTS = 400
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 2**62, 1.5, "", "x", "a" * 300, [], [1], ["a"], [None], [{}], {}, {"a": None}, {"a": "b"},
    {"name": 3}, [{"name": []}], "1Gi", "\x00", "é", [[]], [{"name": "a"}, {"name": "a"}],
]  # fmt: skip
FIELDS = [
    "finalizers", "ownerReferences", "labels", "annotations", "managedFields", "traffic", "status", "stringData",
    "data", "spec", "template", "volumes", "env", "ports", "livenessProbe", "resources", "securityContext",
]  # fmt: skip


def container() -> Json:
    return {
        "name": "c",
        "image": "docker.io/library/nginx:1",
        "env": [{"name": "A", "value": "b"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "ports": [{"containerPort": 8080, "name": "http1"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
        "resources": {"limits": {"cpu": "1"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }


def documents() -> dict[str, Json]:
    """A good object for each collection."""
    spec = {"containers": [container()], "volumes": [{"name": "v", "configMap": {"name": "x"}}]}
    serving, metadata = "/apis/serving.knative.dev/v1/namespaces/default", {"name": "s", "labels": {"a": "b"}}
    traffic = [{"latestRevision": True, "percent": 100, "tag": "t"}]
    template = {"metadata": {"name": "s-a"}, "spec": {**spec, "containerConcurrency": 1, "timeoutSeconds": 10}}
    core = "/api/v1/namespaces/default"
    return {
        f"{serving}/services": {"metadata": metadata, "spec": {"template": template, "traffic": traffic}},
        f"{serving}/routes": {
            "metadata": metadata,
            "spec": {"traffic": [{"configurationName": "c", "percent": 100}]},
        },
        f"{core}/pods": {**pod("s"), "spec": spec, "status": {"phase": "Running"}},
        f"{core}/configmaps": config_map("s", a="b"),
        f"{core}/secrets": {"metadata": metadata, "stringData": {"a": "b"}, "data": {"c": "ZA=="}, "type": "Opaque"},
        f"{core}/services": {"metadata": metadata, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
        f"{core}/events": {"metadata": metadata, "involvedObject": {"kind": "Pod", "name": "p"}, "count": 1},
        "/apis/apps/v1/namespaces/default/deployments": deployment("s"),
    }


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of everything in a document."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def spoil(document: Json, dice: random.Random) -> Json:
    """A copy with a few values that are odd, missing, or in the wrong place."""
    document = copy.deepcopy(document)
    for _ in range(dice.randint(1, 3)):
        *parents, last = dice.choice([path for path in places(document) if path])
        holder: Any = document
        for key in parents:
            holder = holder[key]
        if dice.random() < 0.15:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(dice.choice(ODD_VALUES))
        if isinstance(holder, dict) and dice.random() < 0.2:
            holder[dice.choice(FIELDS)] = copy.deepcopy(dice.choice(ODD_VALUES))
        if not document:
            break
    return document


def operations(document: Json, dice: random.Random) -> list[Json]:
    def pointer() -> str:
        return "/" + "/".join(str(part) for part in dice.choice(list(places(document))))

    names = ("add", "remove", "replace", "move", "copy", "test")
    return [
        {"op": dice.choice(names), "path": pointer(), "from": pointer(), "value": dice.choice(ODD_VALUES)}
        for _ in range(2)
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(4))
async def test_noise(api: Api, seed: int) -> None:
    dice, codes = random.Random(seed), set()
    for path, document in documents().items():
        answer = await api.post(path, document)
        assert answer.code == 201, answer.body
    for _ in range(REQUESTS):
        path, document = dice.choice(list(documents().items()))
        noise, name = spoil(document, dice), document["metadata"]["name"]
        match dice.randrange(7):
            case 0:
                answer = await api.post(path + dice.choice(("", "?fieldValidation=Strict", "?dryRun=All")), noise)
            case 1:
                answer = await api.put(f"{path}/{name}", noise)
            case 2:
                answer = await api.patch(f"{path}/{name}", noise, dice.choice(("merge", "strategic")))
            case 3:
                query = f"fieldManager={dice.choice('ab')}&force={dice.choice(('true', 'false'))}"
                answer = await api.patch(f"{path}/{name}?{query}", noise, "apply")
            case 4:
                answer = await api.patch(f"{path}/{name}/status", noise, dice.choice(("merge", "strategic")))
            case 5:
                answer = await api.patch(f"{path}/{name}", operations(document, dice), "json")
            case _:
                answer = await api.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
                assert answer.code == 200, answer.body
        assert answer.code < 500, (path, noise, answer.body)
        codes.add(answer.code)
    assert codes >= {200, 400, 409, 415, 422}  # the noise is of the right loudness
    for kind in api.backend.kinds:
        for obj in (await api.store.list(kind)).items:
            kind.parse(obj)


DEPTHS = (150, 300, 900, 1020)
PATCHES = ("merge", "strategic", "apply")


@pytest.mark.anyio
@pytest.mark.parametrize("depth", DEPTHS)
async def test_no_depth_is_an_accident(api: Api, depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    path = "/api/v1/namespaces/default/configmaps"
    await api.post(path, config_map("x"))
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"y"},"data":' + deep + b"}"
    assert (await api.post(path, body)).code == 400
    for form in PATCHES:
        answer = await api.patch(f"{path}/x?fieldManager=me&force=true", body.replace(b'"y"', b'"x"'), form)
        assert answer.code in (400, 422), form
    grow = b'[{"op":"add","path":"/metadata/annotations","value":' + deep + b"}]"
    assert (await api.patch(f"{path}/x", grow, "json")).code == 400


@pytest.mark.anyio
@pytest.mark.parametrize("spec", [5, {"finalizers": 5}, {"finalizers": [5]}, {"finalizers": {"a": "b"}}])
async def test_finalizers_are_a_list_of_names(api: Api, spec: Any) -> None:
    await api.post("/api/v1/namespaces", {"metadata": {"name": "odd"}})
    assert (await api.put("/api/v1/namespaces/odd/finalize", {"metadata": {"name": "odd"}, "spec": spec})).code == 400
