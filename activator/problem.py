"""What the gateway itself says when it cannot pass a request on: `application/problem+json` (RFC 9457), ready to send.

Each names what was found and the next step, and nothing that the asker should not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

RETRY_AFTER_S: Final = 1
"""Where nothing better is known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not the function's. `members` are extension members of the document."""

    status: int
    detail: str
    reason: str = ""
    retry_after_s: int | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    location: str = ""

    def body(self) -> bytes:
        document: dict[str, object] = {
            "type": "about:blank",
            "title": _title(self.status),
            "status": self.status,
            "detail": self.detail,
        }
        if self.reason:
            document["reason"] = self.reason
        return json.dumps({**document, **self.members}, ensure_ascii=False).encode() + b"\n"

    def response(self, *, bodiless: bool, close: bool) -> bytes:
        """Head and body. `bodiless`: it answers a HEAD request."""
        body = self.body()
        lines = [
            f"HTTP/1.1 {self.status} {_title(self.status)}",
            "Content-Type: application/problem+json",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
        ]
        if self.retry_after_s is not None:
            lines.append(f"Retry-After: {self.retry_after_s}")
        if self.location:
            lines.append(f"Location: {self.location}")
        if close:
            lines.append("Connection: close")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if bodiless else body)


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def unknown_host() -> Problem:
    """Says nothing of what there is."""
    return Problem(404, "No route answers to this host and path. `pilotlight route list` shows yours.", "NoRoute")


def queue_full(backend: str) -> Problem:
    return Problem(
        503, f"Too many requests wait for {backend}. Try again, or raise its max-scale.", "QueueFull", RETRY_AFTER_S
    )


def no_endpoints(backend: str) -> Problem:
    return Problem(503, f"Nothing is ready behind {backend}.", "NoEndpoints", RETRY_AFTER_S)


def start_failed(revision: str, reason: str, message: str, retry_after_s: int) -> Problem:
    namespace, _, name = revision.partition("/")
    see = f"kubectl describe revision {name} -n {namespace}"
    return Problem(
        503,
        f"Revision {revision} cannot start: {reason}: {message or 'no message'}. See `{see}` and its logs.",
        reason,
        retry_after_s,
        {"revision": revision, "message": message, "next": see},
    )


def request_timeout(seconds: float, waiting: str) -> Problem:
    """Knative's activator says the first words too."""
    return Problem(504, f"activator request timeout: no answer within {seconds:g} s ({waiting}).", "Timeout")


def bad_gateway(detail: str) -> Problem:
    return Problem(502, f"The instance did not give a whole answer: {detail}", "BadGateway")


def shutting_down() -> Problem:
    return Problem(503, "The gateway is shutting down.", "ShuttingDown", RETRY_AFTER_S)


def content_too_large(bytes_max: int) -> Problem:
    return Problem(413, f"The body is larger than the {bytes_max} bytes that are taken here.", "ContentTooLarge")


def too_many_connections() -> Problem:
    return Problem(503, "The gateway has as many connections as it may have.", "TooManyConnections", RETRY_AFTER_S)


def malformed(status: int, detail: str) -> Problem:
    return Problem(status, detail, "Malformed")


def redirect(url: str) -> Problem:
    return Problem(301, f"This host is served at {url}.", "Redirected", location=url)


def revision_missing(backend: str) -> Problem:
    return Problem(503, f"The route leads to {backend}, which is not there (yet).", "RevisionMissing", RETRY_AFTER_S)
