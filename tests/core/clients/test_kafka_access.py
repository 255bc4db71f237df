"""How a cluster is reached, in kafka-python's words."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.clients.kafka_access import Access
from core.clients.kafka_oauth import OAuth
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


def test_any_certificate_will_do() -> None:
    settings = Access(("x:1",), tls=True, check_certificate=False).settings("x")
    assert settings["ssl_context"].verify_mode == ssl.CERT_NONE
    assert settings["ssl_check_hostname"] is False


def test_a_key_with_a_password() -> None:
    certificate, key = certificate_with_key(b"open it")
    access = Access(("x:1",), tls=True, certificate=certificate, key=key, key_password="open it")
    assert isinstance(access.settings("x")["ssl_context"], ssl.SSLContext)
    for wrong in ("", "a guess"):
        with pytest.raises(PermanentError, match="certificates") as error:
            replace(access, key_password=wrong).settings("x")
        assert "guess" not in str(error.value)


def certificate_with_key(password: bytes) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day).sign(
        key, hashes.SHA256()
    )
    pem = serialization.Encoding.PEM
    locked = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(password))
    return certificate.public_bytes(pem).decode(), locked.decode()


def test_tokens() -> None:
    oauth = OAuth("http://127.0.0.1:1/", "me", "a secret")
    settings = Access(("x:1",), "OAUTHBEARER", oauth=oauth).settings("x")
    assert (settings["security_protocol"], settings["sasl_mechanism"]) == ("SASL_PLAINTEXT", "OAUTHBEARER")
    assert "sasl_plain_password" not in settings


def test_secrets_are_masked_in_what_others_say() -> None:
    oauth = OAuth("http://127.0.0.1:1/", "me", "a secret")
    access = Access(("x:1",), "PLAIN", USER, PASSWORD, key="the key", key_password="open it", oauth=oauth)
    assert access.masked(f"{PASSWORD}, the key, open it, a secret, {USER}") == f"***, ***, ***, ***, {USER}"
    assert Access(("x:1",)).masked("nothing to hide") == "nothing to hide"


def test_certificates_that_are_none() -> None:
    with pytest.raises(PermanentError, match="certificates"):
        Access(("x:1",), tls=True, ca="nonsense").settings("x")
    with pytest.raises(PermanentError, match="certificates"):
        Access(("x:1",), tls=True, certificate="nonsense").settings("x")


def test_secrets_are_not_shown() -> None:
    assert "sesame" not in repr(Access(("x:1",), "PLAIN", USER, PASSWORD, key="sesame"))
