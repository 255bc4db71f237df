"""The handshake, both sides, and the two against each other."""

from __future__ import annotations

import pytest

from core.inside import Fields
from eventing.attributes import Invalid
from eventing.webhook import ALLOW, Permission, Welcome, grant, permission, question

EXAMPLE = Welcome(origins=("example.com",), rate=120)


@pytest.mark.parametrize(
    ("welcome", "fields", "granted"),
    [
        (Welcome(), [(b"webhook-request-origin", b"eventemitter.example.com")], {b"*": b"*"}),
        (Welcome(), [(b"webhook-request-origin", b"x"), (b"webhook-request-rate", b"120")], {b"*": b"*"}),
        (Welcome(rate=60), [(b"webhook-request-origin", b"x")], {b"*": b"60"}),
        (EXAMPLE, [(b"webhook-request-origin", b"Example.com")], {b"Example.com": b"120"}),
        (EXAMPLE, [(b"webhook-request-origin", b"evil.com")], {}),
        (Welcome(), [], {}),
        (Welcome(), [(b"webhook-request-origin", b"")], {}),
        (Welcome(), [(b"webhook-request-callback", b"http://169.254.169.254/")], {}),
    ],
)
def test_what_is_granted(welcome: Welcome, fields: list[tuple[bytes, bytes]], granted: dict[bytes, bytes]) -> None:
    answer = grant(fields, welcome)
    assert not isinstance(answer, Invalid)
    assert answer[0] == ALLOW
    assert answer[1:] == tuple(
        field
        for origin, rate in granted.items()
        for field in ((b"webhook-allowed-origin", origin), (b"webhook-allowed-rate", rate))
    )


@pytest.mark.parametrize("rate", [b"0", b"-1", b"x", b"1.5", b"", b"9" * 30])
def test_a_rate_that_is_none(rate: bytes) -> None:
    found = grant([(b"webhook-request-origin", b"x"), (b"webhook-request-rate", rate)], Welcome())
    assert isinstance(found, Invalid)
    assert "WebHook-Request-Rate" in found.detail


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (((b"webhook-allowed-origin", b"*"), (b"webhook-allowed-rate", b"*")), Permission(None)),
        (((b"webhook-allowed-origin", b"Us.example"), (b"webhook-allowed-rate", b"100")), Permission(100)),
        (((b"webhook-allowed-origin", b"*"),), Permission(None)),
        (((b"webhook-allowed-origin", b"them.example"), (b"webhook-allowed-rate", b"*")), None),
        (((b"webhook-allowed-origin", b"*"), (b"webhook-allowed-rate", b"0")), None),
        (((b"allow", b"POST"),), None),
        ((), None),
    ],
)
def test_what_an_answer_permits(fields: Fields, expected: Permission | None) -> None:
    assert permission(fields, "us.example") == expected


@pytest.mark.parametrize(("rate", "expected"), [(None, Permission(120)), (1000, Permission(120))])
def test_both_sides_together(rate: int | None, expected: Permission) -> None:
    answer = grant(question("example.com", rate), EXAMPLE)
    assert not isinstance(answer, Invalid)
    assert permission(answer, "example.com") == expected
    refused = grant(question("other.com", rate), EXAMPLE)
    assert not isinstance(refused, Invalid)
    assert permission(refused, "other.com") is None
