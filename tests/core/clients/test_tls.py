from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from core.clients.tls import ClientTls, TlsFiles
from core.errors import PermanentError
from tests.support.certificates import self_signed

CERTIFICATE, KEY = self_signed("client")
_, LOCKED_KEY = self_signed("client", key_password="hunter2")


def test_it_trusts_whom_it_is_told_to() -> None:
    context = ClientTls(CERTIFICATE).context()
    assert context.cert_store_stats()["x509_ca"] == 1
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_without_a_check_any_server_will_do() -> None:
    context = ClientTls(check=False).context()
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        pytest.param(ClientTls("a ca"), "cannot be used", id="a ca that is none"),
        pytest.param(ClientTls(certificate=CERTIFICATE, key="a key"), "cannot be used", id="a key that is none"),
        pytest.param(ClientTls(certificate=CERTIFICATE, key=LOCKED_KEY), "there is no keyPassword", id="no password"),
        pytest.param(
            ClientTls(certificate=CERTIFICATE, key=LOCKED_KEY, key_password="wrong"),
            "cannot be used",
            id="a wrong password",
        ),
        pytest.param(
            ClientTls(certificate=CERTIFICATE, key=KEY, key_password="hunter2"), "is not encrypted", id="one too many"
        ),
    ],
)
def test_what_cannot_be_used_is_said_at_once(tls: ClientTls, words: str) -> None:
    with pytest.raises(PermanentError, match=words) as caught:
        tls.context()
    assert "hunter2" not in str(caught.value)


def test_files_are_for_nobody_else_and_gone_when_they_are_closed() -> None:
    locked = ClientTls(CERTIFICATE, CERTIFICATE, LOCKED_KEY, "hunter2")
    with TlsFiles(locked) as files:
        path = Path(files.certificate_and_key)
        assert path.parent.stat().st_mode & 0o077 == 0
        assert "BEGIN PRIVATE KEY" in path.read_text()
        assert Path(files.ca).read_text().strip() == CERTIFICATE.strip()
    assert not path.parent.exists()
    with TlsFiles(ClientTls()) as files:
        assert (files.ca, files.certificate_and_key) == ("", "")


def test_no_key_is_shown() -> None:
    assert "PRIVATE" not in repr(ClientTls(key=KEY))
    assert "hunter2" not in repr(ClientTls(key_password="hunter2"))
