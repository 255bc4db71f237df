"""Tokens for SASL/OAUTHBEARER, by OAuth's client credentials (RFC 6749, 4.4); asked for on the client's thread."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from kafka import errors as kafka_errors
from kafka.net.sasl.oauth import AbstractTokenProvider

from core.clock import SystemClock

ANSWER_S: Final = 3.0
EARLY_S: Final = 30.0
"""A token is not used any more so long before it ends."""
LIFETIME_S: Final = 300.0
"""Of a token whose server does not say how long it lives."""
_now = SystemClock.monotonic


@dataclass(frozen=True, slots=True)
class OAuth:
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # the client has no types
    """The token of one client, kept while it is good."""

    def __init__(self, oauth: OAuth) -> None:
        super().__init__()
        self._oauth = oauth
        self._token = ""
        self._good_until = 0.0

    def token(self) -> str:
        if _now() >= self._good_until:
            answer = self._asked()
            self._token = str(answer["access_token"])
            self._good_until = _now() + float(answer.get("expires_in") or LIFETIME_S) - EARLY_S
        return self._token

    def extensions(self) -> Mapping[str, str]:
        return dict(self._oauth.extensions)

    def _asked(self) -> Mapping[str, Any]:
        """The client's name goes where RFC 6749 wants it, and into the form where a server wants it there."""
        form = {"grant_type": "client_credentials"}
        if self._oauth.scopes:
            form["scope"] = " ".join(self._oauth.scopes)
        names = (quote(self._oauth.client_id, safe=""), quote(self._oauth.client_secret, safe=""))
        basic = base64.b64encode(":".join(names).encode()).decode()
        try:
            try:
                return self._posted(form, {"Authorization": f"Basic {basic}"})
            except urllib.error.HTTPError as error:
                if error.code not in (400, 401):
                    raise
            named = {"client_id": self._oauth.client_id, "client_secret": self._oauth.client_secret}
            return self._posted(form | named, {})
        except urllib.error.HTTPError as error:
            said = f"the token server {self._oauth.token_url} answers {error.code} to client {self._oauth.client_id}"
        except (OSError, ValueError, KeyError) as error:
            said = f"no token from {self._oauth.token_url}: {type(error).__name__}"
        raise kafka_errors.SaslAuthenticationFailedError(said)

    def _posted(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any]:
        request = urllib.request.Request(self._oauth.token_url, urlencode(form).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            found: Mapping[str, Any] = json.load(answer)
        if "access_token" not in found:
            raise ValueError("no access_token")
        return found
