"""TLS to RabbitMQ, for both of its protocols."""

from __future__ import annotations

import ssl
import tempfile

from core.clients.rabbitmq_access import Trust
from core.errors import PermanentError


def make_context(trust: Trust) -> ssl.SSLContext:
    """PermanentError: the certificates cannot be used."""
    try:
        context = ssl.create_default_context(cadata=trust.ca or None)
        if not trust.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if trust.certificate:
            with tempfile.NamedTemporaryFile("w") as chain:  # only files are taken
                chain.write(f"{trust.certificate}\n{trust.key}\n")
                chain.flush()
                context.load_cert_chain(chain.name, password=lambda: trust.key_password)
    except (ssl.SSLError, ValueError) as error:
        raise PermanentError(
            f"the certificates for RabbitMQ cannot be used: {_reason(error)}", "InvalidCertificate"
        ) from None
    return context


def _reason(error: Exception) -> str:
    """OpenSSL's words without its place in the source; Python's own where there are none."""
    return getattr(error, "reason", None) or str(error) or type(error).__name__
