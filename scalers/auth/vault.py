"""Secrets of HashiCorp Vault, by its HTTP API (pkg/scaling/resolver/hashicorpvault_handler.go).

One visit: log in, renew the token where it can be, read each path once, take the keys. How long what was read is good
follows from the leases of the token and of the secrets.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from core.clients.http_reader import Answer as HttpAnswer
from core.clients.http_reader import HttpReader, Question
from core.errors import PermanentError, TemporaryError
from core.resources.meta import Json
from scalers.auth.answers import Answer

SERVICE_ACCOUNT_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
TOKEN_BYTES_MAX: Final = 1024 * 1024
STATIC_S: Final = 300.0  # a secret without a lease may be written anew at any time
LEASE_PART: Final = 2 / 3  # what has a lease is read again after that part of it
_PKI: Final[Mapping[str, str]] = {
    "commonName": "common_name",
    "altNames": "alt_names",
    "ipSans": "ip_sans",
    "uriSans": "uri_sans",
    "otherSans": "other_sans",
    "ttl": "ttl",
    "format": "format",
}
_SAID: Final[Mapping[int, str]] = {
    403: "refuses: the token is not good, or its policy does not allow it",
    404: "does not exist; a path of a secret engine of version 2 has data/ after its mount",
    503: "is sealed or under maintenance",
}


async def read_vault(spec: Json, asked_by: str) -> Answer[Mapping[str, str]]:
    """Parameters by name. `spec` is hashiCorpVault. TemporaryError, PermanentError: neither says a secret."""
    reader = HttpReader()
    try:
        return await _Visit(spec, asked_by, reader).run()
    finally:
        await reader.close()


class _Visit:
    def __init__(self, spec: Json, asked_by: str, reader: HttpReader) -> None:
        self._spec = spec
        self._who = asked_by
        self._reader = reader
        self._token = ""
        self._leases: list[float] = [STATIC_S]

    async def run(self) -> Answer[Mapping[str, str]]:
        self._token = await self._log_in()
        await self._keep_token()
        parameters: dict[str, str] = {}
        answers: dict[bytes, Mapping[str, Any]] = {}  # what a path gives may be made anew for each question
        for index, secret in enumerate(self._spec["secrets"]):
            path = f"{self._who}.secrets[{index}]"
            key = orjson.dumps([secret["path"], secret.get("type"), secret.get("pkiData")], option=orjson.OPT_SORT_KEYS)
            if key not in answers:
                answers[key] = await self._read(secret, path)
            parameters[secret["parameter"]] = _value(answers[key], secret, path)
        return Answer(parameters, min(self._leases))

    async def _log_in(self) -> str:
        credential = self._spec.get("credential") or {}
        method = self._spec["authentication"]
        if method == "token":
            if not credential.get("token"):
                raise PermanentError(f"{self._who}.credential.token: is required where authentication is token")
            return str(credential["token"])
        if method != "kubernetes":
            raise PermanentError(f"{self._who}.authentication: is {method!r}, must be one of token, kubernetes")
        missing = next((name for name in ("mount", "role") if not self._spec.get(name)), None)
        if missing:
            raise PermanentError(f"{self._who}.{missing}: is required where authentication is kubernetes")
        if credential.get("serviceAccountName"):
            raise PermanentError(
                f"{self._who}.credential.serviceAccountName: tokens of service accounts are not made here; name a file "
                "with one in serviceAccount",
                "NotAvailable",
            )
        file = credential.get("serviceAccount") or SERVICE_ACCOUNT_TOKEN
        jwt = await asyncio.to_thread(_read_jwt, Path(file), f"{self._who}.credential.serviceAccount")
        body = {"jwt": jwt, "role": self._spec["role"]}
        answer = await self._ask("POST", f"auth/{self._spec['mount']}/login", self._who, body)
        token = (answer.get("auth") or {}).get("client_token")
        if not token:
            raise TemporaryError(f"{self._who}: Vault logged in without giving a token")
        return str(token)

    async def _keep_token(self) -> None:
        """A token that ends takes the leases along that were made with it."""
        data = (await self._ask("GET", "auth/token/lookup-self", self._who)).get("data") or {}
        ttl = data.get("ttl") or 0
        if data.get("renewable"):
            answer = await self._ask("POST", "auth/token/renew-self", self._who, {})
            ttl = (answer.get("auth") or {}).get("lease_duration") or ttl
        if ttl:
            self._leases.append(float(ttl) * LEASE_PART)

    async def _read(self, secret: Json, path: str) -> Mapping[str, Any]:
        kind = secret.get("type") or ""
        if kind not in ("", "secret", "secretV2", "pki"):
            raise PermanentError(f"{path}.type: is {kind!r}, must be one of secret, secretV2, pki, or left out")
        if kind == "pki":
            asked = secret.get("pkiData") or {}
            body = {_PKI[name]: value for name, value in asked.items() if name in _PKI and value}
            answer = await self._ask("POST", secret["path"], path, body)
        else:
            answer = await self._ask("GET", secret["path"], path)
        if answer.get("lease_duration"):
            self._leases.append(float(answer["lease_duration"]) * LEASE_PART)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    async def _ask(self, method: str, path: str, who: str, body: Json | None = None) -> Mapping[str, Any]:
        headers = {"X-Vault-Request": "true"}
        if self._token:
            headers["X-Vault-Token"] = self._token
        if self._spec.get("namespace"):
            headers["X-Vault-Namespace"] = self._spec["namespace"]
        url = f"{self._spec['address'].rstrip('/')}/v1/{path.lstrip('/')}"
        try:
            answer = await self._reader.ask(
                Question(url, headers, method, None if body is None else orjson.dumps(body))
            )
        except TemporaryError as error:
            raise TemporaryError(f"{who}: {error}") from None
        except PermanentError as error:
            raise PermanentError(f"{self._who}.address: {error}", error.reason) from None
        return _checked(answer, who)


def _checked(answer: HttpAnswer, who: str) -> Mapping[str, Any]:
    """Of Vault's own words only the status is shown: they may repeat what was asked."""
    if answer.status in _SAID:
        raise TemporaryError(f"{who}: {answer.shown} {_SAID[answer.status]} ({answer.status})")
    if not 200 <= answer.status < 300:
        raise TemporaryError(f"{who}: {answer.shown} answered {answer.status}")
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise TemporaryError(f"{who}: {answer.shown} did not answer as Vault does")
    return found


def _value(data: Mapping[str, Any], secret: Json, path: str) -> str:
    kind, key = secret.get("type") or "", secret["key"]
    if kind == "secretV2" or (not kind and isinstance(data.get("data"), dict)):
        inner = data.get("data")
        data = inner if isinstance(inner, dict) else {}
    if key not in data:
        listed = ", ".join(sorted(data)) or "none"
        raise PermanentError(f"{path}.key: {key!r} is not among the keys of {secret['path']}: {listed}", "KeyNotFound")
    value = data[key]
    if kind == "pki" and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)  # ca_chain
    if not isinstance(value, str):
        raise PermanentError(f"{path}.key: {key!r} of {secret['path']} is no text", "KeyInvalid")
    return value


def _read_jwt(file: Path, who: str) -> str:
    """Only tokens of service accounts leave this machine, whatever file is named."""
    try:
        with file.open("rb") as opened:
            text = opened.read(TOKEN_BYTES_MAX + 1)
    except OSError as error:
        raise PermanentError(f"{who}: {file}: {error.strerror}", "FileNotRead") from None
    parts = text.strip().split(b".")
    try:
        claims = (
            orjson.loads(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))) if len(parts) == 3 else {}
        )
    except (binascii.Error, orjson.JSONDecodeError):
        claims = {}
    if not isinstance(claims, dict) or not str(claims.get("sub", "")).startswith("system:serviceaccount:"):
        raise PermanentError(f"{who}: {file} does not hold the token of a service account", "FileInvalid")
    return text.strip().decode()
