"""An authority, a server of 127.0.0.1 and a client, as PEM texts."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY_PASSWORD = "open sesame"


@dataclass(frozen=True)
class Identities:
    authority: str
    server: str
    server_key: str
    client: str  # of the common name `client`
    client_key: str
    locked_client_key: str  # by KEY_PASSWORD


def make_identities() -> Identities:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _sign("authority", authority_key, None, authority_key)
    server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    server = _sign("server", server_key, authority, authority_key)
    client = _sign("client", client_key, authority, authority_key)
    lock = serialization.BestAvailableEncryption(KEY_PASSWORD.encode())
    plain = serialization.NoEncryption()
    return Identities(
        _pem(authority),
        _pem(server),
        _key(server_key, plain),
        _pem(client),
        _key(client_key, plain),
        _key(client_key, lock),
    )


def _sign(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, by: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if issuer is not None:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return made.sign(by, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key(key: ec.EllipticCurvePrivateKey, lock: serialization.KeySerializationEncryption) -> str:
    pem = serialization.Encoding.PEM
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock).decode()
