"""How a cluster is reached, in kafka-python's words."""

from __future__ import annotations

import ssl

import pytest

from core.clients.kafka_access import Access
from core.errors import PermanentError
from tests.support.kafka import PASSWORD, USER


@pytest.mark.parametrize(
    ("access", "protocol"),
    [
        (Access(("x:1",)), "PLAINTEXT"),
        (Access(("x:1",), "PLAIN", USER, PASSWORD), "SASL_PLAINTEXT"),
        (Access(("x:1",), tls=True), "SSL"),
        (Access(("x:1",), "SCRAM-SHA-512", USER, PASSWORD, tls=True), "SASL_SSL"),
    ],
)
def test_protocols(access: Access, protocol: str) -> None:
    settings = access.settings("me")
    assert (settings["security_protocol"], settings["client_id"]) == (protocol, "me")
    assert settings.get("sasl_plain_password") == (PASSWORD if access.mechanism else None)


def test_hosts_are_checked_unless_that_is_switched_off() -> None:
    assert Access(("x:1",), tls=True).settings("x")["ssl_context"].check_hostname
    context = Access(("x:1",), tls=True, check_host=False).settings("x")["ssl_context"]
    assert not context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_certificates_that_are_none() -> None:
    with pytest.raises(PermanentError, match="certificates"):
        Access(("x:1",), tls=True, ca="nonsense").settings("x")
    with pytest.raises(PermanentError, match="certificates"):
        Access(("x:1",), tls=True, certificate="nonsense").settings("x")


def test_secrets_are_not_shown() -> None:
    assert "sesame" not in repr(Access(("x:1",), "PLAIN", USER, PASSWORD, key="sesame"))
