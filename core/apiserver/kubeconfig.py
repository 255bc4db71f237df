"""The kubeconfig: address, authority and token in one file, so that `kubectl --kubeconfig` needs nothing else.

The roof writes it once the API listens; tests read it back.
"""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import yaml

from core.apiserver.files import write_private
from core.resources.meta import Json

CONTEXT = "pilotlight"
TOKEN_BYTES = 32


def ensure_token(path: Path) -> str:
    """The bearer token that is kept in the file; a new one where there is none."""
    if path.exists() and (kept := path.read_text().strip()):
        return kept
    token = secrets.token_urlsafe(TOKEN_BYTES)
    write_private(path, token.encode())
    return token


def make_kubeconfig(server: str, authority_pem: bytes, token: str) -> Json:
    """`server`: the API's URL."""
    authority = base64.b64encode(authority_pem).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": "default"}}],
        "current-context": CONTEXT,
    }


def write_kubeconfig(path: Path, server: str, authority_pem: bytes, token: str) -> None:
    """Mode 0600, replaced in one step."""
    write_private(path, yaml.safe_dump(make_kubeconfig(server, authority_pem, token), sort_keys=False).encode())
