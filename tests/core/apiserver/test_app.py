"""core.apiserver.app and core.apiserver.verbs: what every request has in common."""

from __future__ import annotations

import pytest

from core.apiserver.app import BODY_BYTES_MAX, warning_header
from core.resources.core_v1 import CONFIG_MAP
from tests.support.api import Api, config_map, make_api

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic YTpi", "Bearer", "Bearer a-token-for-test"])
async def test_without_the_token_there_is_nothing_to_see(api: Api, authorization: str) -> None:
    answer = await api.get(MAPS, authorization=authorization)
    assert (answer.code, answer.json["reason"], answer.json["message"]) == (401, "Unauthorized", "Unauthorized")
    assert answer.json["kind"] == "Status"


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz?verbose", "/livez/ping", "/version"])
async def test_health_and_version_are_open_to_all(api: Api, path: str) -> None:
    assert (await api.get(path, authorization="")).code == (401 if path == "/livez/ping" else 200)
    assert (await api.get(path)).code == 200


async def test_the_version_is_one_that_clients_understand(api: Api) -> None:
    version = (await api.get("/version")).json
    assert (version["major"], version["minor"]) == ("1", "32")
    assert version["gitVersion"].startswith("v1.32.")
    assert version["platform"].startswith("linux/")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/apis", 404),
        ("GET", "/apis/apps/v2", 404),
        ("GET", "/apis/nobody.example", 404),
        ("GET", "/api/v1/unicorns", 404),
        ("GET", "/api/v1/pods/a", 404),
        ("GET", "/api/v1/namespaces/default/namespaces/default", 404),
        ("GET", f"{MAPS}/a/status", 404),
        ("GET", f"{MAPS}/a/nothing", 404),
        ("PUT", MAPS, 405),
        ("POST", f"{MAPS}/a", 405),
        ("OPTIONS", MAPS, 405),
        ("GET", "/openapi/v3/apis/nobody.example/v1", 404),
    ],
)
async def test_paths_that_lead_nowhere(api: Api, method: str, path: str, code: int) -> None:
    answer = await api.request(method, path, None, {})
    assert (answer.code, answer.json["kind"], answer.json["code"]) == (code, "Status", code)


@pytest.mark.parametrize(
    ("body", "content_type", "code", "message"),
    [
        (b"{", "application/json", 400, "couldn't parse"),
        (b"[1]", "application/json", 400, "not an object"),
        (b"\xff\xfe", "application/json", 400, "couldn't parse"),
        (b"[" * 5000, "application/json", 400, "couldn't parse"),
        (b"a: [", "application/yaml", 400, "line"),
        (b"a: &x [1]\nb: [*x, *x]", "application/yaml", 400, "aliases"),
        (b"", "application/json", 400, "couldn't parse"),
        (b"{}", "text/html", 415, "accepted media types"),
        (b"k8s\x00\xff", "application/vnd.kubernetes.protobuf", 400, "protobuf"),
        (b"{}", "application/json", 422, "name or generateName is required"),
        (b'{"metadata":3}', "application/json", 400, "metadata"),
        (b'{"metadata":{"name":3}}', "application/json", 400, "metadata"),
        (b'{"kind":"Pod"}', "application/json", 400, "expected kind"),
        (b'{"apiVersion":"v2"}', "application/json", 400, "expected API version"),
        (b'{"metadata":{"name":"a","namespace":"b"}}', "application/json", 400, "does not match the namespace"),
    ],
)
async def test_bodies_that_make_no_sense(api: Api, body: bytes, content_type: str, code: int, message: str) -> None:
    answer = await api.post(MAPS, body, content_type=content_type)
    assert answer.code == code, answer.body
    assert message in answer.json["message"]
    assert b"Traceback" not in answer.body


async def test_a_body_is_refused_as_soon_as_it_is_too_large(api: Api) -> None:
    told = await api.post(MAPS, b"", content_length=str(BODY_BYTES_MAX + 1))
    found = await api.post(MAPS, b" " * (BODY_BYTES_MAX + 1), content_length="")
    assert [answer.json["reason"] for answer in (told, found)] == ["RequestEntityTooLarge"] * 2
    assert told.code == found.code == 413


async def test_yaml_is_as_good_as_json(api: Api) -> None:
    text = b"metadata: {name: a}\ndata:\n  day: '2024-01-01'\n  yes: 'on'\n"
    answer = await api.post(MAPS, text, content_type="application/yaml", accept="application/yaml")
    assert answer.code == 201, answer.body
    assert answer.headers["content-type"] == "application/yaml"
    assert b"day: '2024-01-01'" in answer.body


async def test_nothing_fits_the_client(api: Api) -> None:
    assert (await api.get(MAPS, accept="text/html")).code == 406
    protobuf_first = await api.get(MAPS, accept="application/vnd.kubernetes.protobuf,application/json")
    assert protobuf_first.headers["content-type"] == "application/json"


async def test_our_own_mistake_is_told_by_an_id_alone(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api.store, "list_bytes", broken)
    answer = await api.get(MAPS)
    assert (answer.code, answer.json["reason"]) == (500, "InternalError")
    assert "accident" in answer.json["message"]
    assert b"secret" not in answer.body


async def test_warnings_travel_in_the_header(api: Api) -> None:
    body = config_map("a") | {"spec": {}, "dota": {}}
    answer = await api.post(MAPS, body)
    assert answer.code == 201
    assert answer.warnings == ['299 - "unknown field \\"spec\\""', '299 - "unknown field \\"dota\\""']


def test_a_warning_is_one_line_of_ascii() -> None:
    assert warning_header('a\n "b" \\ ü') == b'299 - "a \\"b\\" \\\\ ?"'


async def test_a_kind_that_is_not_served_is_not_there(anyio_backend: str) -> None:
    from core.resources.core_v1 import NAMESPACE

    api = await make_api([NAMESPACE, CONFIG_MAP])
    assert (await api.get(MAPS)).code == 200
    assert (await api.get("/api/v1/pods")).code == 404


async def test_what_is_not_offered_says_what_is(api: Api) -> None:
    answer = await api.post("/api/v1/namespaces/default/pods/a/exec?command=ls", {})
    assert answer.code == 404
    assert answer.json["message"] == "pods have no exec on this server: they have log, status"
    assert answer.json["details"] == {"name": "a", "kind": "pods"}  # kubectl debug looks into it unasked
