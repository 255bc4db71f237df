"""TLS on one machine: what the listener needs, from the data folder.

The roof calls `ensure_certificates` before it listens. Beside the certificates lies until when they are good; as long
as that holds, and they are the ones it was written for, nothing has to be loaded that could make new ones.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.apiserver.files import write_private

FILES = ("ca.crt", "ca.key", "server.crt", "server.key")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths for the listener, and the authority's certificate for clients."""

    certificate: Path
    key: Path
    authority_pem: bytes


def ensure_certificates(folder: Path, now: float) -> Certificates:
    """Makes what is missing or about to expire. `now`: seconds since the epoch. OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    good = folder / "good"
    if not _is_good(folder, good, now):
        from core.apiserver.authority import renew

        begin, end = renew(folder, now)
        write_private(good, f"{begin:.0f} {end:.0f} {_digest(folder)}\n".encode())
    return Certificates(folder / "server.crt", folder / "server.key", (folder / "ca.crt").read_bytes())


def _is_good(folder: Path, good: Path, now: float) -> bool:
    try:
        begin, end, digest = good.read_text().split()
        return float(begin) <= now < float(end) and digest == _digest(folder)
    except (OSError, ValueError):
        return False


def _digest(folder: Path) -> str:
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in FILES)).hexdigest()
