from __future__ import annotations

from collections.abc import Callable

from core.inside import Call, Reply, Sites


class Silent:
    body_bytes_max = 1

    def answer(self, call: Call, done: Callable[[Reply], None]) -> None:
        """Says nothing."""


def test_the_first_field_of_a_name_counts() -> None:
    fields = ((b"ce-id", b"1"), (b"ce-id", b"2"))
    for message in (Call(b"POST", b"h", b"/", fields), Reply(200, fields)):
        assert message.value(b"ce-id") == b"1"
        assert message.value(b"ce-type") is None


def test_whoever_follows_the_sites_hears_of_each_change_and_of_nothing_else() -> None:
    sites = Sites()
    heard: list[list[str]] = []
    sites.changed = lambda places: heard.append(list(places))
    sites.put("broker-ingress.localhost", Silent(), public=True)
    sites.put("channel.local", Silent())
    sites.remove("nobody.local")
    sites.remove("broker-ingress.localhost")
    assert heard == [["broker-ingress.localhost"], ["broker-ingress.localhost", "channel.local"], ["channel.local"]]
    assert not sites.places["channel.local"].public
