"""aws-sqs-queue: messages in a queue of SQS (pkg/scalers/aws_sqs_queue_scaler.go).

Counted are those that wait and, unless it is said otherwise, those that a consumer has: these are in flight.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from core.clients.aws_keys import AwsAccess, AwsIdentity
from core.clients.aws_signature import AwsKey
from core.clients.aws_sqs import SqsClient
from core.clients.http_reader import HttpReader
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from core.settings.declaration import Choice, Text, Truth, Whole
from scalers.base import Definition, World
from scalers.metric_names import normalize
from scalers.params import AUTH, AUTH_OR_ENV, METADATA_OR_AUTH, METADATA_OR_ENV, Parameters, Source, param
from scalers.readings import Reading, Target, Trigger

VISIBLE: Final = "ApproximateNumberOfMessages"
NOT_VISIBLE: Final = "ApproximateNumberOfMessagesNotVisible"
DELAYED: Final = "ApproximateNumberOfMessagesDelayed"


@dataclass(frozen=True, slots=True)
class Region:
    allowed: str = "must be a region of AWS, such as eu-west-1"

    def read(self, text: str) -> str:
        if not re.fullmatch(r"[a-z0-9-]{1,40}", text):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class QueueUrl:
    """A queue's URL, or its name alone."""

    allowed: str = "must be a queue's name, or its URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"

    def read(self, text: str) -> str:
        if _is_url(text):
            parts = urlsplit(text).path.split("/")
            if len(parts) != 3 or not parts[2]:
                raise ValueError
        return text


@dataclass(frozen=True, slots=True)
class Endpoint:
    allowed: str = "must be a URL such as http://localhost:4566"

    def read(self, text: str) -> str:
        if not re.fullmatch(r"https?://[^/\s?#@]+/?", text):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsParameters(Parameters):
    queue: str = param("queueURL", QueueUrl(), "The queue's URL, or its name.", sources=METADATA_OR_ENV)
    length: int = param("queueLength", Whole(1), "Messages per replica.", 5, differs="0 is refused")
    activation: int = param("activationQueueLength", Whole(), "Active above so many messages.", 0)
    region: str = param("awsRegion", Region(), "Where the queue is.", sources=METADATA_OR_AUTH)
    endpoint: str = param("awsEndpoint", Endpoint(), "Whom to ask instead of AWS.", "")
    in_flight: bool = param("scaleOnInFlight", Truth(), "Count messages that a consumer has, too.", True)
    delayed: bool = param("scaleOnDelayed", Truth(), "Count messages that are not to be had yet, too.", False)
    owner: str = param("identityOwner", Choice(("pod", "operator")), "operator: ask as this process.", "pod")
    key_id: str = param(
        "awsAccessKeyID",
        Text(),
        "Id of a key.",
        "",
        sources=(Source.AUTH, Source.METADATA, Source.ENV),
        aliases=("awsAccessKeyId",),
    )
    key_secret: str = param("awsSecretAccessKey", Text(), "The key.", "", sources=AUTH_OR_ENV, secret=True)
    key_token: str = param("awsSessionToken", Text(), "Of a key that ends.", "", sources=AUTH, secret=True)
    role: str = param("awsRoleArn", Text(), "A role to take on.", "", sources=AUTH)
    external_id: str = param("awsExternalId", Text(), "What the role's owner wants to hear.", "", sources=AUTH)

    @property
    def queue_name(self) -> str:
        return urlsplit(self.queue).path.split("/")[2] if _is_url(self.queue) else self.queue

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those whose sum counts."""
        return (VISIBLE, *((NOT_VISIBLE,) if self.in_flight else ()), *((DELAYED,) if self.delayed else ()))

    def identity(self, trigger: Trigger) -> AwsIdentity:
        """pkg/scalers/aws: a role with the key of this process; or a key."""
        if self.owner == "operator" or trigger.pod_identity == "aws" or self.role:
            return AwsIdentity(None, self.role, self.external_id if self.role else "")
        return AwsIdentity(AwsKey(self.key_id, self.key_secret, self.key_token))


class SqsScaler:
    """One queue."""

    def __init__(self, parameters: SqsParameters, trigger: Trigger, world: World) -> None:
        access = AwsAccess(parameters.region, parameters.identity(trigger), parameters.endpoint)
        self._queue, self._names = parameters.queue, parameters.attributes
        name = normalize(f"aws-sqs-{parameters.queue_name}")
        self._target = Target(name, float(parameters.length), float(parameters.activation))
        self._pools = world.pools
        self._http, self._sqs = ("http", ClientTls()), ("aws-sqs", access)
        reader = world.pools.borrow(self._http, HttpReader)
        self._client = world.pools.borrow(self._sqs, lambda: SqsClient(access, reader, world.clock))

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        found = await self._client.attributes(self._queue, self._names)
        numbers = {name: _number(found, name) for name in self._names}
        in_flight = numbers.get(NOT_VISIBLE)
        return (Reading(float(sum(numbers.values())), in_flight=None if in_flight is None else float(in_flight)),)

    async def close(self) -> None:
        await self._pools.give_back(self._sqs)
        await self._pools.give_back(self._http)


def _number(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise TemporaryError(f"SQS answered without a number of {name}: it is {text!r}")
    return int(text)


def _is_url(text: str) -> bool:
    return "://" in text or text.startswith("/")


def _check(parameters: SqsParameters, trigger: Trigger) -> None:
    key = parameters.identity(trigger).key
    if key is None or (key.id and key.secret):
        return
    missing = "awsSecretAccessKey" if key.id else "awsAccessKeyID"
    raise PermanentError(
        f"{trigger.path}.metadata.{missing}: is required: a parameter of its authenticationRef, or {missing}FromEnv;"
        " or awsRoleArn, or identityOwner: operator",
        "InvalidTrigger",
    )


def _make(parameters: SqsParameters, trigger: Trigger, world: World) -> SqsScaler:
    return SqsScaler(parameters, trigger, world)


DEFINITION = Definition(SqsParameters, _make, "Messages in a queue of Amazon SQS.", check=_check)
