"""TLS to other people's servers: certificates as texts, out of documents and Secrets, for libraries that take a context
and for those that take only files."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from core.errors import PermanentError


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM texts. `check` false: any certificate of the server will do."""

    ca: str = ""  # empty: those that this machine trusts
    certificate: str = ""
    key: str = field(default="", repr=False)
    key_password: str = field(default="", repr=False)
    check: bool = True

    def context(self) -> ssl.SSLContext:
        """PermanentError: the certificates cannot be read."""
        try:
            context = ssl.create_default_context(cadata=self.ca or None)
            if not self.check:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate:
                with TlsFiles(self) as files:
                    # Without one OpenSSL would ask for a password at the terminal.
                    context.load_cert_chain(files.certificate_and_key, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise PermanentError(f"the certificates cannot be used: {_words(error)}", "InvalidCertificate") from error
        return context

    def open_key(self) -> str:
        """The key without its password. ValueError: it is not the password, or none is wanted."""
        if not self.key_password:
            return self.key
        try:
            key = serialization.load_pem_private_key(self.key.encode(), self.key_password.encode())
        except TypeError as error:  # a key that is not encrypted: OpenSSL would not mind
            raise ValueError("there is a keyPassword, and the key is not encrypted") from error
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


class TlsFiles:
    """The same in a folder that nobody else can read, until it is closed; the key is not encrypted there."""

    def __init__(self, tls: ClientTls) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pilotlight-tls-")
        path = Path(self._folder.name)
        self.ca = self._write(path / "ca.pem", tls.ca)
        self.certificate_and_key = self._write(path / "client.pem", f"{tls.certificate}\n{tls.open_key()}".strip())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.cleanup()

    def __enter__(self) -> TlsFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _write(path: Path, text: str) -> str:
        """The path of what was written; empty where there is nothing to write."""
        if not text:
            return ""
        path.write_text(text + "\n")
        return str(path)


def _no_password() -> str:
    raise ValueError("the key is encrypted, and there is no keyPassword")


def _words(error: Exception) -> str:
    return error.reason or str(error) if isinstance(error, ssl.SSLError) else str(error)
