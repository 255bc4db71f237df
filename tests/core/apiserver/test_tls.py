"""core.apiserver.tls with core.apiserver.authority and core.apiserver.files, and core.apiserver.kubeconfig."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from core.apiserver.authority import RENEW_BEFORE, SERVER_LIFE
from core.apiserver.kubeconfig import ensure_token, write_kubeconfig
from core.apiserver.tls import ensure_certificates

NOW = 1_700_000_000.0


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_certificates_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path / "tls", NOW)
    before = serial(first.certificate)
    second = ensure_certificates(tmp_path / "tls", NOW + 3600)
    assert serial(second.certificate) == before
    assert second.authority_pem == first.authority_pem
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()} == {0o600}
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_the_server_certificate_is_renewed_in_time_and_the_authority_stays(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path, NOW)
    before = serial(first.certificate)
    later = NOW + (SERVER_LIFE - RENEW_BEFORE).total_seconds()
    second = ensure_certificates(tmp_path, later)
    assert serial(second.certificate) != before
    assert second.authority_pem == first.authority_pem


def test_what_is_good_is_not_looked_at_closely_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ensure_certificates(tmp_path, NOW)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "core.apiserver.authority", None)
        assert ensure_certificates(tmp_path, NOW + 3600) == first
        with pytest.raises(ImportError):
            ensure_certificates(tmp_path, NOW - 90_000)  # the clock was set back to before they were made
    (tmp_path / "good").write_text("nonsense")
    assert ensure_certificates(tmp_path, NOW) == first


@pytest.mark.parametrize("name", ["ca.crt", "server.crt"])
def test_a_damaged_file_is_made_again(tmp_path: Path, name: str) -> None:
    ensure_certificates(tmp_path, NOW)
    (tmp_path / name).write_bytes(b"nonsense")
    certificates = ensure_certificates(tmp_path, NOW)
    authority = x509.load_pem_x509_certificate(certificates.authority_pem)
    x509.load_pem_x509_certificate(certificates.certificate.read_bytes()).verify_directly_issued_by(authority)


def test_a_client_can_trust_it_by_name_and_by_address(tmp_path: Path) -> None:
    certificates = ensure_certificates(tmp_path, NOW)
    ssl.create_default_context(cadata=certificates.authority_pem.decode())
    found = x509.load_pem_x509_certificate(certificates.certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_the_token_is_kept(tmp_path: Path) -> None:
    token = ensure_token(tmp_path / "token")
    assert len(token) >= 40
    assert ensure_token(tmp_path / "token") == token
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_the_kubeconfig_needs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("older")
    write_kubeconfig(path, "https://127.0.0.1:6443", b"PEM", "t0ken")
    config = yaml.safe_load(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert config["current-context"] == "pilotlight"
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": "UEVN",
    }
    assert config["users"][0]["user"] == {"token": "t0ken"}
