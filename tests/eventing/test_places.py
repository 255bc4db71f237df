from __future__ import annotations

import pytest

from eventing.places import Places


@pytest.mark.parametrize(
    ("url", "stream"),
    [
        ("http://c-kn-channel.default.svc.cluster.local", "channel/default/c"),
        ("http://c-kn-channel.default.svc.cluster.local/", "channel/default/c"),
        ("http://C-kn-channel.default.SVC.cluster.local:8080/?x=1", "channel/default/c"),
        ("http://c-kn-channel.default.svc.cluster.local/elsewhere", None),
        ("http://ingress/default/main", "broker/default/main"),
        ("http://ingress/default", None),
        ("http://other/default/main", None),
        ("http:", None),
    ],
)
def test_a_url_leads_to_a_stream_or_away(url: str, stream: str | None) -> None:
    places = Places()
    places.put("c-kn-channel.default.svc.cluster.local", "/", "channel/default/c")
    places.put("ingress", "/default/main", "broker/default/main")
    assert places.at(url) == stream
    places.drop("c-kn-channel.default.svc.cluster.local", "/")
    places.drop("ingress", "/default/main")
    assert places.at(url) is None
