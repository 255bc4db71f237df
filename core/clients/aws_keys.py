"""As whom one asks AWS: keys of a trigger, or of this process, found where AWS's own libraries look for them.

A role may be taken on with either. What is only lent is renewed before it ends.
"""

from __future__ import annotations

import asyncio
import configparser
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from xml.etree import ElementTree

from core.clients.aws_signature import AwsKey, AwsRequest, signed_headers
from core.clients.http_reader import Answer, HttpReader, Question
from core.clients.masking import mask
from core.clock import Clock
from core.errors import TemporaryError

TIMEOUT_S: Final = 3.0
_RENEW_S: Final = 300.0
_STS_VERSION: Final = "2011-06-15"
_CONTAINER: Final = "http://169.254.170.2"
_MACHINE: Final = "http://169.254.169.254"
_MACHINE_TIMEOUT_S: Final = 1.0  # elsewhere than on EC2 nobody answers there
_SESSION: Final = "pilotlight"
_NOWHERE: Final = (
    "no AWS credentials: name a key in the authenticationRef, or give this process some (AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, a web identity, those of a container or of a machine in AWS)"
)


@dataclass(frozen=True, slots=True)
class AwsIdentity:
    """As whom. `key` None: as this process. `role` is taken on by either."""

    key: AwsKey | None = None
    role: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class AwsAccess:
    region: str
    identity: AwsIdentity
    endpoint: str = ""  # of the service, instead of AWS's own in that region


class AwsKeys:
    """The key of an identity, fetched when it is first wanted and when its end is near."""

    def __init__(self, access: AwsAccess, reader: HttpReader, clock: Clock) -> None:
        self._access = access
        self._reader = reader
        self._clock = clock
        self._key: AwsKey | None = None
        self._fetching = asyncio.Lock()

    async def key(self) -> AwsKey:
        """TemporaryError: there is none, or a role is refused."""
        async with self._fetching:
            if self._key is None or self._ends(self._key):
                self._key = await self._fetch()
            return self._key

    def forget(self) -> None:
        """It was refused: another one may be there by now."""
        self._key = None

    def _ends(self, key: AwsKey) -> bool:
        return key.expires_at is not None and key.expires_at - self._clock.wall() < _RENEW_S

    async def _fetch(self) -> AwsKey:
        identity = self._access.identity
        key = identity.key or await self._own_key()
        if not identity.role:
            return key
        asked = {"Action": "AssumeRole", "RoleArn": identity.role, "RoleSessionName": _SESSION}
        if identity.external_id:
            asked["ExternalId"] = identity.external_id
        return await self._ask_sts(asked, key)

    async def _own_key(self) -> AwsKey:
        """This process's: environment, web identity, files, container, machine."""
        own = os.environ
        if own.get("AWS_ACCESS_KEY_ID") and own.get("AWS_SECRET_ACCESS_KEY"):
            return AwsKey(own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"], own.get("AWS_SESSION_TOKEN", ""))
        if own.get("AWS_WEB_IDENTITY_TOKEN_FILE") and own.get("AWS_ROLE_ARN"):
            return await self._web_identity(own["AWS_WEB_IDENTITY_TOKEN_FILE"], own["AWS_ROLE_ARN"])
        found = await asyncio.to_thread(_key_in_files)
        if found is not None:
            return found
        relative, full = (own.get(f"AWS_CONTAINER_CREDENTIALS_{each}_URI", "") for each in ("RELATIVE", "FULL"))
        if relative or full:
            return await self._container_key(full or f"{_CONTAINER}{relative}")
        if own.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
            return await self._machine_key(own.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _MACHINE).rstrip("/"))
        raise TemporaryError(_NOWHERE)

    async def _web_identity(self, token_file: str, role: str) -> AwsKey:
        token = await _text_of(token_file)
        session = os.environ.get("AWS_ROLE_SESSION_NAME", _SESSION)
        asked = {"RoleArn": role, "RoleSessionName": session, "WebIdentityToken": token}
        return await self._ask_sts({"Action": "AssumeRoleWithWebIdentity", **asked}, None)

    async def _ask_sts(self, asked: Mapping[str, str], key: AwsKey | None) -> AwsKey:
        region = self._access.region
        url = f"{os.environ.get('AWS_ENDPOINT_URL_STS', '').rstrip('/') or endpoint_of('sts', region)}/"
        body = urlencode({**asked, "Version": _STS_VERSION}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        if key is not None:
            headers = signed_headers(AwsRequest(url, "sts", region, headers, body), key, self._clock.wall())
        answer = await self._reader.ask(Question(url, headers, "POST", body, TIMEOUT_S))
        secrets = (asked.get("WebIdentityToken", ""), *((key.secret, key.token) if key else ()))
        if answer.status != 200:
            raise TemporaryError(f"STS refuses {asked['Action']} of {asked['RoleArn']}: {refusal(answer, secrets)}")
        return _lent(answer, _texts(answer), "SessionToken")

    async def _container_key(self, url: str) -> AwsKey:
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
        if file:
            token = await _text_of(file)
        headers = {"authorization": token} if token else {}
        answer = await self._reader.ask(Question(url, headers, timeout_s=_MACHINE_TIMEOUT_S))
        return _lent(answer, json_of(answer))

    async def _machine_key(self, endpoint: str) -> AwsKey:
        """IMDSv2."""
        try:
            wanted = {"x-aws-ec2-metadata-token-ttl-seconds": "21600"}
            token = await self._machine(f"{endpoint}/latest/api/token", wanted, "PUT")
            known = {"x-aws-ec2-metadata-token": token.body.decode()}
            roles = f"{endpoint}/latest/meta-data/iam/security-credentials/"
            role = (await self._machine(roles, known)).body.decode().split()
            if not role:
                raise TemporaryError("this machine has no role")
            answer = await self._machine(f"{roles}{role[0]}", known)
        except TemporaryError as error:
            raise TemporaryError(f"{_NOWHERE} ({error})") from error
        return _lent(answer, json_of(answer))

    async def _machine(self, url: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        answer = await self._reader.ask(Question(url, headers, method, timeout_s=_MACHINE_TIMEOUT_S))
        if answer.status != 200:
            raise TemporaryError(f"{answer.shown} answered {answer.status}")
        return answer


def endpoint_of(service: str, region: str) -> str:
    """AWS's own."""
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _key_in_files() -> AwsKey | None:
    """~/.aws/credentials, or ~/.aws/config, of the profile that AWS_PROFILE names."""
    profile = os.environ.get("AWS_PROFILE", "default")
    home = Path("~/.aws").expanduser()
    files = (
        (os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials", profile),
        (
            os.environ.get("AWS_CONFIG_FILE") or home / "config",
            profile if profile == "default" else f"profile {profile}",
        ),
    )
    for file, section in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, UnicodeDecodeError):
            continue
        if parser.has_section(section):
            found = dict(parser.items(section))
            if found.get("aws_access_key_id") and found.get("aws_secret_access_key"):
                token = found.get("aws_session_token", "")
                return AwsKey(found["aws_access_key_id"], found["aws_secret_access_key"], token)
    return None


def refusal(answer: Answer, secrets: Iterable[str]) -> str:
    """Why: as AWS says it in JSON, or in XML."""
    try:
        told = json_of(answer)
    except TemporaryError:
        told = _texts(answer)
    kind = str(told.get("__type") or told.get("Code") or answer.status).rpartition("#")[2]
    words = str(told.get("message") or told.get("Message") or "")
    return mask(f"{kind}: {words}" if words else kind, secrets)


def _lent(answer: Answer, document: Mapping[str, Any], token: str = "Token") -> AwsKey:
    """A key with an end, out of what STS, a container or a machine answered."""
    try:
        ends = datetime.fromisoformat(document["Expiration"].replace("Z", "+00:00")).timestamp()
        return AwsKey(document["AccessKeyId"], document["SecretAccessKey"], document[token], ends)
    except (KeyError, ValueError, AttributeError) as error:
        raise TemporaryError(f"{answer.shown} answered {answer.status}, without a key") from error


def json_of(answer: Answer) -> dict[str, Any]:
    """TemporaryError: it is none, or no object."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise TemporaryError(f"{answer.shown} answered {answer.status} with what is no JSON object")
    return document


def _texts(answer: Answer) -> dict[str, str]:
    """Of an answer in XML, by the names of their elements, which differ in what STS says; none where it is none."""
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError:
        return {}
    return {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}


async def _text_of(path: str) -> str:
    try:
        return (await asyncio.to_thread(Path(path).read_text)).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TemporaryError(f"the token in {path} cannot be read: {type(error).__name__}") from error
