from __future__ import annotations

from ipaddress import ip_address

import pytest

from core.errors import FieldError
from core.settings.sinks import Guard, SinkSettings, parse_guard, parse_sinks


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),  # carrier-grade NAT
        ("169.254.169.254", False),  # where clouds keep credentials
        ("fe80::1", False),
        ("fd00::1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
    ],
)
def test_only_public_addresses_are_called_unasked(address: str, allowed: bool) -> None:
    assert Guard().allows("sink.example.com", ip_address(address)) is allowed


@pytest.mark.parametrize(
    ("text", "host", "address", "allowed"),
    [
        ("10.0.0.0/8", "any", "10.9.9.9", True),
        ("10.0.0.0/8", "any", "11.9.9.9", True),
        ("10.0.0.0/8", "any", "127.0.0.1", False),
        ("Sink.Corp, 127.0.0.1", "sink.corp", "192.168.0.1", True),
        ("Sink.Corp, 127.0.0.1", "other.corp", "192.168.0.1", False),
        ("Sink.Corp, 127.0.0.1", "other.corp", "127.0.0.1", True),
        ("[::1]", "any", "::1", True),
        ("", "any", "::1", False),
    ],
)
def test_exceptions_are_by_name_or_by_network(text: str, host: str, address: str, allowed: bool) -> None:
    assert parse_guard(text).allows(host, ip_address(address)) is allowed


@pytest.mark.parametrize("text", ["10.0.0.0/99", "http://sink", "a_b"])
def test_what_is_neither_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="neither a host name"):
        parse_guard(f"good.example, {text}")


def test_the_config_map_is_read_or_says_what_is_wrong() -> None:
    assert parse_sinks({}) == SinkSettings()
    read = parse_sinks({"allowed-sinks": "127.0.0.1"})
    assert isinstance(read, SinkSettings)
    assert read.guard.allows("x", ip_address("127.0.0.1"))
    wrong = parse_sinks({"allowed-sinks": "10.0.0.0/99"})
    assert isinstance(wrong, list)
    assert isinstance(wrong[0], FieldError)
    assert "'10.0.0.0/99' is neither" in wrong[0].message
