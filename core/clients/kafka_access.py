"""How a Kafka cluster is reached, and as whom: made from documents and Secrets, for `core/clients/kafka.py`."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any, Final

from core.clients.kafka_oauth import OAuth, Tokens
from core.errors import PermanentError

MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
REQUEST_TIMEOUT_S: Final = 10.0
BOOTSTRAP_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Access:
    """PEM texts, not files. `mechanism` is one of MECHANISMS; OAUTHBEARER wants `oauth`."""

    servers: tuple[str, ...]
    mechanism: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca: str | None = None  # None: those that this machine trusts
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    key_password: str = field(default="", repr=False)
    check_host: bool = True
    check_certificate: bool = True
    oauth: OAuth | None = None

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
        if self.oauth is not None:
            chosen |= {"sasl_mechanism": self.mechanism, "sasl_oauth_token_provider": Tokens(self.oauth)}
        elif self.mechanism:
            chosen |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        if self.tls:
            check_host = self.check_host and self.check_certificate
            chosen |= {"ssl_context": self._ssl_context(), "ssl_check_hostname": check_host}
        return chosen

    def masked(self, text: str) -> str:
        """Without what is secret here: for messages that others have written."""
        secrets = (self.password, self.key_password, self.key or "", self.oauth.client_secret if self.oauth else "")
        for secret in secrets:
            text = text.replace(secret, "***") if secret else text
        return text

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cadata=self.ca)
            context.check_hostname = self.check_host and self.check_certificate
            if not self.check_certificate:
                context.verify_mode = ssl.CERT_NONE
            if self.certificate:
                with tempfile.NamedTemporaryFile("w") as chain:  # only files are taken
                    chain.write(f"{self.certificate}\n{self.key or ''}\n")
                    chain.flush()
                    # Without one it would ask for it at the terminal.
                    context.load_cert_chain(chain.name, password=self.key_password or "-")
        except (ssl.SSLError, ValueError) as error:
            raise PermanentError(f"the certificates for Kafka cannot be used: {error}", "InvalidCertificate") from error
        return context
