"""How a request to AWS is signed (Signature Version 4). Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AwsKey:
    """Of a user, or of a role for a while: then with a token, and `expires_at` on the clock of the wall."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AwsRequest:
    """A POST without a query."""

    url: str
    service: str
    region: str
    headers: Mapping[str, str]
    body: bytes = b""


def signed_headers(request: AwsRequest, key: AwsKey, now: float) -> dict[str, str]:
    """The request's headers and those that prove who sends it; `now` is on the clock of the wall."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {name.lower(): value.strip() for name, value in request.headers.items()}
    headers |= {"host": urlsplit(request.url).netloc, "x-amz-date": moment}
    if key.token:
        headers["x-amz-security-token"] = key.token
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            "POST",
            urlsplit(request.url).path or "/",
            "",
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{moment[:8]}/{request.region}/{request.service}/aws4_request"
    signed = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(key.secret, scope), signed.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"{_ALGORITHM} Credential={key.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    del headers["host"]  # which whoever sends it adds
    return headers


def _signing_key(secret: str, scope: str) -> bytes:
    """From the secret, through day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
