"""Where RabbitMQ is, from what Secrets say."""

from __future__ import annotations

import pytest

from core.clients.rabbitmq_access import Access, access_of
from core.errors import PermanentError

FULL = "amqps://u:p%40ss@rabbit.example:7000/my%2fhost"


@pytest.mark.parametrize(
    ("data", "vhost", "expected"),
    [
        ({"host": "rabbit"}, None, Access("rabbit")),
        ({"host": "rabbit", "port": "5673"}, "v", Access("rabbit", 5673, "v")),
        ({"uri": "rabbit", "username": "u", "password": "p"}, None, Access("rabbit", user="u", password="p")),
        ({"uri": "rabbit.ns.svc:15672", "username": "u", "password": "p"}, None,
         Access("rabbit.ns.svc", user="u", password="p")),
        ({"uri": "http://rabbit:15672"}, None, Access("rabbit")),
        ({"uri": "amqp://rabbit"}, None, Access("rabbit")),
        ({"uri": "amqp://rabbit/%2f"}, None, Access("rabbit")),
        ({"uri": FULL}, None, Access("rabbit.example", 7000, "my/host", "u", "p@ss", tls=True)),
        ({"uri": FULL, "port": "1", "username": "w"}, "other",
         Access("rabbit.example", 1, "other", "w", "p@ss", tls=True)),
        ({"uri": "amqps://rabbit", "ca.crt": "PEM"}, None, Access("rabbit", 5671, tls=True, ca="PEM")),
        ({"uri": "amqp://[::1]:5673"}, None, Access("::1", 5673)),
    ],
)  # fmt: skip
def test_access(data: dict[str, str], vhost: str | None, expected: Access) -> None:
    assert access_of(data, vhost) == expected


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "neither a key uri nor a key host"),
        ({"uri": "ftp://rabbit"}, "uri is no address"),
        ({"uri": "amqp://rabbit:x/"}, "uri is no address"),
        ({"uri": "amqp:///"}, "uri is no address"),
        ({"host": "rabbit", "port": "0"}, "port is '0'"),
        ({"host": "rabbit", "port": "many"}, "port is 'many'"),
    ],
)
def test_what_is_refused(data: dict[str, str], sentence: str) -> None:
    with pytest.raises(PermanentError, match=sentence):
        access_of(data)


def test_nobody_reads_a_password_in_a_log() -> None:
    assert "secret" not in repr(Access("rabbit", password="secret")) + Access("rabbit", password="secret").place
