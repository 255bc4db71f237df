"""URLs name a port only where a client must."""

from __future__ import annotations

from core.resources.hosts import Hosts


def test_usual_ports_are_left_out() -> None:
    assert Hosts().public_url("a.localhost") == "http://a.localhost"
    assert Hosts().local_url("a.default.svc.cluster.local") == "http://a.default.svc.cluster.local"


def test_others_are_not() -> None:
    hosts = Hosts(public_port=8080, cluster_local_port=8081)
    assert hosts.public_url("a.localhost") == "http://a.localhost:8080"
    assert hosts.local_url("a.default.svc.cluster.local") == "http://a.default.svc.cluster.local:8081"


def test_https_is_spoken_by_a_proxy_and_not_on_the_port_of_the_gateway() -> None:
    assert Hosts(public_port=8080).public_url("a.localhost", "https") == "https://a.localhost"
