"""From Ingress objects and core Services to one table, and from a request to its destination."""

from __future__ import annotations

from collections import ChainMap, Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activator.heads import RequestHead, parse_request
from activator.routing import (
    Destination,
    EvenDraw,
    ServiceKey,
    Table,
    compile_ingress,
    compile_service,
    route,
    split_port,
)
from core.resources.networking import INGRESS, Visibility
from core.stats import RevisionKey


def split(name: str, percent: int = 100, **more: Any) -> dict[str, Any]:
    return {"serviceNamespace": "default", "serviceName": name, "percent": percent, **more}


def rule(host: str | list[str], *paths: dict[str, Any], visibility: str = "ExternalIP") -> dict[str, Any]:
    hosts = [host] if isinstance(host, str) else host
    return {"hosts": hosts, "visibility": visibility, "http": {"paths": list(paths)}}


def to(name: str, **more: Any) -> dict[str, Any]:
    return {"splits": [split(name)], **more}


def table(*rules: dict[str, Any], services: tuple[dict[bytes, Any], ...] = (), **spec: Any) -> Table:
    ingress = {"metadata": {"name": "x"}, "spec": {"rules": list(rules), **spec}}
    INGRESS.parse(ingress)  # it is one
    return Table(dict(ChainMap(compile_ingress(ingress), *services)))


def request(host: str, target: str = "/", *fields: str) -> RequestHead:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", *fields]
    head = parse_request(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(head, RequestHead)
    return head


def goes_to(found: Destination | None) -> str:
    return str(found.backend) if found else "nowhere"


HOSTS = {
    "as it is": ("hello.default.localhost", "default/hello-1"),
    "upper case": ("HELLO.Default.LOCALHOST", "default/hello-1"),
    "with a port": ("hello.default.localhost:8080", "default/hello-1"),
    "trailing dot": ("hello.default.localhost.", "default/hello-1"),
    "trailing dot and port": ("hello.default.localhost.:8080", "default/hello-1"),
    "unknown": ("other.default.localhost", "nowhere"),
    "a part of it": ("default.localhost", "nowhere"),
    "a longer one": ("a.hello.default.localhost", "nowhere"),
    "empty": ("", "nowhere"),
    "no port after the colon": ("hello.default.localhost:", "nowhere"),
    "port no number": ("hello.default.localhost:x", "nowhere"),
}


@pytest.mark.parametrize(("host", "where"), HOSTS.values(), ids=HOSTS)
def test_hosts(host: str, where: str) -> None:
    routes = table(rule("hello.default.localhost", to("hello-1")))
    for _ in range(2):  # the second time it may be remembered
        assert goes_to(route(routes, request(host), EvenDraw())) == where


def test_an_absolute_target_decides() -> None:
    routes = table(rule("a.test", to("a")), rule("b.test", to("b")))
    assert goes_to(route(routes, request("a.test", "http://b.test/x"), EvenDraw())) == "default/b"


PATHS = {
    "/": "root", "/api": "api", "/api/": "api", "/api/v1": "v1", "/api/v1/x?y": "v1", "/api?x": "api", "/apis": "root",
    "/x/api": "root",
}  # fmt: skip


@pytest.mark.parametrize(("target", "name"), PATHS.items())
def test_the_longest_path_wins_by_whole_segments(target: str, name: str) -> None:
    routes = table(rule("a.test", to("root"), to("api", path="/api"), to("v1", path="/api/v1")))
    assert goes_to(route(routes, request("a.test", target), EvenDraw())) == f"default/{name}"


TAGS = {
    "its tag": (("Knative-Serving-Tag: blue",), "blue"),
    "no tag": ((), "main"),
    "unknown tag": (("knative-serving-tag: red",), "main"),
    "another case": (("Knative-Serving-Tag: Blue",), "main"),
}


@pytest.mark.parametrize(("fields", "name"), TAGS.values(), ids=TAGS)
def test_the_tag_header(fields: tuple[str, ...], name: str) -> None:
    tagged = to("blue", headers={"Knative-Serving-Tag": {"exact": "blue"}})
    routes = table(rule("a.test", to("main"), tagged))
    assert goes_to(route(routes, request("a.test", "/", *fields), EvenDraw())) == f"default/{name}"


PERCENTS = st.lists(st.integers(1, 100), min_size=2, max_size=5)


@given(PERCENTS, st.integers(100, 400))
def test_traffic_is_split_evenly_and_tightly(weights: list[int], count: int) -> None:
    total = sum(weights)
    splits = [split(f"r{i}", weight) for i, weight in enumerate(weights)]
    routes = table(rule("a.test", {"splits": splits}))
    draw, seen = EvenDraw(), Counter[str]()
    for _ in range(count):
        seen[goes_to(route(routes, request("a.test"), draw))] += 1
    for i, weight in enumerate(weights):
        assert abs(seen[f"default/r{i}"] - count * weight / total) < 6


@given(st.floats(0, 1, exclude_max=True))
def test_no_draw_falls_between_the_shares_or_on_nought_percent(point: float) -> None:
    splits = [split("none", 0), split("a", 33), split("b", 33), split("c", 34)]
    routes = table(rule("a.test", {"splits": splits}))
    assert goes_to(route(routes, request("a.test"), lambda: point)) in ("default/a", "default/b", "default/c")


def test_a_tag_at_nought_percent_has_all_of_its_own_host() -> None:
    routes = table(rule("blue-a.test", {"splits": [split("blue", 100)]}), rule("a.test", to("green")))
    assert goes_to(route(routes, request("blue-a.test"), EvenDraw())) == "default/blue"


def test_visibility_of_a_host_in_two_rules_is_the_wider_one() -> None:
    local, public = to("a"), to("a")
    routes = table(rule("a.test", local, visibility="ClusterLocal"), rule(["a.test", "b.test"], public))
    found = routes.find(b"a.test")
    assert found is not None
    assert found.visibility is Visibility.EXTERNAL_IP


def test_only_public_hosts_are_redirected() -> None:
    routes = table(
        rule("a.test", to("a")), rule("a.default", to("a"), visibility="ClusterLocal"), httpOption="Redirected"
    )
    assert routes.hosts[b"a.test"].redirect
    assert not routes.hosts[b"a.default"].redirect


def test_appended_headers_less_those_for_an_activator() -> None:
    extra = {"Knative-Serving-Revision": "a", "knative-serving-namespace": "b", "X-Split": "1"}
    path = {"splits": [split("a", appendHeaders=extra)], "appendHeaders": {"X-Path": "2"}}
    found = route(table(rule("a.test", path)), request("a.test"), EvenDraw())
    assert found is not None
    assert found.extra == b"X-Path: 2\r\nX-Split: 1\r\n"


def test_a_domain_mapping_follows_the_routes_of_its_target() -> None:
    mapping = rule("my.example", {**to("hello"), "rewriteHost": "hello.default.svc.cluster.local"})
    target = rule("hello.default.svc.cluster.local", {"splits": [split("a", 50), split("b", 50)]})
    routes, draw = table(mapping, target), EvenDraw()
    found = [route(routes, request("my.example"), draw) for _ in range(20)]
    assert {goes_to(one) for one in found} == {"default/a", "default/b"}
    assert {one.host for one in found if one} == {b"hello.default.svc.cluster.local"}


def test_without_such_a_host_it_goes_where_it_says() -> None:
    routes = table(rule("my.example", {**to("hello"), "rewriteHost": "gone.test"}))
    found = route(routes, request("my.example"), EvenDraw())
    assert found is not None
    assert (goes_to(found), found.host) == ("default/hello", b"gone.test")


LOCAL = {
    "short": ("db.default", "default/db:80"),
    "with svc": ("db.default.svc", "default/db:80"),
    "whole": ("db.default.svc.cluster.local", "default/db:80"),
    "its other port": ("db.default.svc:9090", "default/db:9090"),
    "a port it has not": ("db.default.svc:1234", "default/db:80"),
    "another name": ("cache.default.svc", "nowhere"),
}


@pytest.mark.parametrize(("host", "where"), LOCAL.values(), ids=LOCAL)
def test_core_services_by_their_cluster_local_names(host: str, where: str) -> None:
    services = compile_service("default", "db", (9090, 80), "cluster.local")
    assert goes_to(route(table(services=(services,)), request(host), EvenDraw())) == where


def test_an_external_name_is_an_alias() -> None:
    alias = compile_service("default", "alias", (80,), "cluster.local", "hello.default.svc.cluster.local")
    outside = compile_service("default", "outside", (80,), "cluster.local", "api.example.com")
    routes = table(rule("hello.default.svc.cluster.local", to("hello-1")), services=(alias, outside))
    assert goes_to(route(routes, request("alias.default.svc"), EvenDraw())) == "default/hello-1"
    found = route(routes, request("outside.default.svc"), EvenDraw())
    assert found == Destination(ServiceKey("default", "outside", 80), host=b"api.example.com")


def test_spellings_are_not_remembered_without_bound() -> None:
    routes = table(rule("a.test", to("a")))
    for port in range(10_000):
        assert routes.find(b"a.test:%d" % port) is not None
    assert len(routes._spellings) <= 4096


PORTS = {
    b"a": (b"a", 0), b"a:80": (b"a", 80), b"a.:80": (b"a", 80), b"[::1]:80": (b"[::1]", 80), b"[::1]": (b"[::1]", 0),
    b"a:": (b"a:", 0), b"a:x": (b"a:x", 0),
}  # fmt: skip


@pytest.mark.parametrize(("host", "parts"), PORTS.items(), ids=str)
def test_split_port(host: bytes, parts: tuple[bytes, int]) -> None:
    assert split_port(host) == parts


def test_an_unknown_revision_key_prints_as_people_write_it() -> None:
    assert str(RevisionKey("default", "a")) == "default/a"
    assert str(ServiceKey("default", "a", 81)) == "default/a:81"
