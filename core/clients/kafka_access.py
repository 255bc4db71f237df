"""How a Kafka cluster is reached, and as whom: made from documents and Secrets, for `core/clients/kafka.py`."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any, Final

from core.errors import PermanentError

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
REQUEST_TIMEOUT_S: Final = 10.0
BOOTSTRAP_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Access:
    """PEM texts, not files. `mechanism` is one of MECHANISMS."""

    servers: tuple[str, ...]
    mechanism: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca: str | None = None  # None: those that this machine trusts
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    check_host: bool = True

    def settings(self, client_id: str) -> dict[str, Any]:
        """kafka-python's. PermanentError: the certificates cannot be read."""
        protocol = ("SASL_" if self.mechanism else "") + ("SSL" if self.tls else "PLAINTEXT")
        chosen: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "client_id": client_id,
            "security_protocol": protocol,
            "request_timeout_ms": int(REQUEST_TIMEOUT_S * 1000),
            "bootstrap_timeout_ms": int(BOOTSTRAP_TIMEOUT_S * 1000),
            "reconnect_backoff_max_ms": 1000,
        }
        if self.mechanism:
            chosen |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        if self.tls:
            chosen |= {"ssl_context": self._ssl_context(), "ssl_check_hostname": self.check_host}
        return chosen

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cadata=self.ca)
            context.check_hostname = self.check_host
            if self.certificate:
                with tempfile.NamedTemporaryFile("w") as chain:  # only files are taken
                    chain.write(f"{self.certificate}\n{self.key or ''}\n")
                    chain.flush()
                    context.load_cert_chain(chain.name)
        except (ssl.SSLError, ValueError) as error:
            raise PermanentError(f"the certificates for Kafka cannot be used: {error}", "InvalidCertificate") from error
        return context
