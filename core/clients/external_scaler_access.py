"""Where an external scaler is, and how it is trusted: what can be said of it without gRPC. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

UNIMPLEMENTED: Final = "Unimplemented"
"""The `reason` of the PermanentError where a scaler has no such method."""


@dataclass(frozen=True, slots=True)
class ExternalScalerAccess:
    """PEM texts, not files. Several `addresses` are those of one scaler's copies, in numbers.

    `server_name` is whom its certificate is to be made out to, where that is not the address. `unverified`: whatever
    certificate it shows is taken for its own.
    """

    addresses: tuple[str, ...]  # host:port, or one target as gRPC writes it
    tls: bool = False
    ca: str | None = None  # None: those that this machine trusts
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)
    server_name: str | None = None
    unverified: bool = False

    @property
    def target(self) -> str:
        """As gRPC writes it."""
        return self.addresses[0] if len(self.addresses) == 1 else f"ipv4:{','.join(self.addresses)}"
