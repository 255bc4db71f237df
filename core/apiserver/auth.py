"""Who asks: one bearer token opens everything, and a few paths that tell nothing private are open to all.

The edge calls it before it reads a body.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from core.errors import Unauthorized

USER = "pilotlight-admin"
GROUPS = ("system:masters", "system:authenticated")
PUBLIC_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})  # as system:public-info-viewer


def authenticate(path: str, headers: Mapping[str, str], token: str) -> str:
    """The user's name, "" for anyone on a public path. Unauthorized."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return USER
    if path in PUBLIC_PATHS:
        return ""
    raise Unauthorized("Unauthorized")
