"""A certificate authority of our own, and a server certificate made by it: in the data folder, made anew when due.

Loaded by `tls` only when there is something to look at closely, for its library takes long to load.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.apiserver.files import write_private

CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
BACKDATE = timedelta(hours=1)  # for clients whose clock is a little behind
DNS_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
ADDRESSES = ("127.0.0.1", "::1")


def renew(folder: Path, now: float) -> tuple[float, float]:
    """Makes what is missing, damaged or about to expire; from when and until when nothing of it has to be made again,
    in seconds since the epoch. OSError."""
    at = datetime.fromtimestamp(now, UTC)
    authority_path, authority_key_path = folder / "ca.crt", folder / "ca.key"
    server_path, server_key_path = folder / "server.crt", folder / "server.key"
    fresh = _is_fresh(authority_path, authority_key_path, at)
    if not fresh:
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(authority_key_path, _pem_of(key))
        write_private(authority_path, _make_authority(key, at).public_bytes(serialization.Encoding.PEM))
    if not fresh or not _is_fresh(server_path, server_key_path, at):
        authority_key = serialization.load_pem_private_key(authority_key_path.read_bytes(), None)
        assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
        authority = x509.load_pem_x509_certificate(authority_path.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(server_key_path, _pem_of(key))
        certificate = _make_server(key, authority, authority_key, at)
        write_private(server_path, certificate.public_bytes(serialization.Encoding.PEM))
    found = [x509.load_pem_x509_certificate(path.read_bytes()) for path in (authority_path, server_path)]
    begin = max(each.not_valid_before_utc for each in found)
    end = min(each.not_valid_after_utc for each in found) - RENEW_BEFORE
    return begin.timestamp(), end.timestamp()


def _is_fresh(certificate: Path, key: Path, now: datetime) -> bool:
    if not (certificate.exists() and key.exists()):
        return False
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        return False
    return found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW_BEFORE


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _make_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    # The time is in the name: a client that still trusts an older authority fails with the right message.
    name = _name(f"pilotlight-ca@{int(now.timestamp())}")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, name, key, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _make_server(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    names = [x509.DNSName(name) for name in DNS_NAMES]
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _builder(_name("pilotlight"), authority.subject, key, now, SERVER_LIFE)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
    )
