"""SQS over plain HTTP, with AWS's JSON protocol: how many messages a queue has."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from core.clients.aws_keys import TIMEOUT_S, AwsAccess, AwsKeys, endpoint_of, json_of, refusal
from core.clients.aws_signature import AwsRequest, signed_headers
from core.clients.http_reader import HttpReader, Question
from core.clock import Clock
from core.errors import TemporaryError


class SqsClient:
    """Made without effect."""

    def __init__(self, access: AwsAccess, reader: HttpReader, clock: Clock) -> None:
        self._access = access
        self._reader = reader
        self._clock = clock
        self._keys = AwsKeys(access, reader, clock)

    async def attributes(self, queue_url: str, names: Sequence[str]) -> Mapping[str, str]:
        """GetQueueAttributes. TemporaryError: SQS refuses, or cannot be asked."""
        access = self._access
        own = os.environ.get("AWS_ENDPOINT_URL_SQS", "")
        url = f"{(access.endpoint or own).rstrip('/') or endpoint_of('sqs', access.region)}/"
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.GetQueueAttributes"}
        body = json.dumps({"QueueUrl": queue_url, "AttributeNames": list(names)}).encode()
        key = await self._keys.key()
        headers = signed_headers(AwsRequest(url, "sqs", access.region, headers, body), key, self._clock.wall())
        answer = await self._reader.ask(Question(url, headers, "POST", body, TIMEOUT_S))
        if answer.status != 200:
            if answer.status in (400, 401, 403):
                self._keys.forget()
            why = refusal(answer, (key.secret, key.token))
            raise TemporaryError(f"SQS in {access.region} refuses queue {queue_url}: {why}")
        attributes = json_of(answer).get("Attributes") or {}
        return {str(name): str(value) for name, value in attributes.items()}

    async def close(self) -> None:
        """Holds nothing: the reader is its maker's."""
