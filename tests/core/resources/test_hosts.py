"""URLs name a port only where a client must."""

from __future__ import annotations

from core.resources.hosts import Hosts


def test_usual_ports_are_left_out() -> None:
    assert Hosts().public_url("a.localhost") == "http://a.localhost"
    assert Hosts(public_port=443).public_url("a.localhost", "https") == "https://a.localhost"
    assert Hosts().local_url("a.default.svc.cluster.local") == "http://a.default.svc.cluster.local"


def test_others_are_not() -> None:
    hosts = Hosts(public_port=8080, cluster_local_port=8081)
    assert hosts.public_url("a.localhost") == "http://a.localhost:8080"
    assert hosts.public_url("a.localhost", "https") == "https://a.localhost:8080"
    assert hosts.local_url("a.default.svc.cluster.local") == "http://a.default.svc.cluster.local:8081"
