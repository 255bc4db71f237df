"""Against what moto said (tests/scalers/recorded/aws_sqs.json)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from core.clients.aws_keys import AwsAccess, AwsIdentity, endpoint_of
from core.clients.aws_signature import AwsKey
from core.clients.aws_sqs import SqsClient
from core.clients.http_reader import HttpReader
from core.errors import TemporaryError
from tests.support.clock import FakeClock
from tests.support.replay_aws import ReplayedAws

KEY = AwsKey("AKIDEXAMPLE", "hunter2")
VISIBLE = "ApproximateNumberOfMessages"


def play(story: Callable[[ReplayedAws, SqsClient], Awaitable[None]], identity: AwsIdentity | None = None) -> None:
    async def played() -> None:
        reader = HttpReader()
        async with ReplayedAws() as aws:
            access = AwsAccess("eu-west-1", identity or AwsIdentity(KEY), aws.url)
            await story(aws, SqsClient(access, reader, FakeClock()))
            await reader.close()

    asyncio.run(played())


def test_attributes() -> None:
    async def story(aws: ReplayedAws, client: SqsClient) -> None:
        url = f"{aws.url}/123456789012/orders"
        assert (await client.attributes(url, [VISIBLE]))[VISIBLE] == "4"
        (asked,) = aws.asked
        assert (asked.method, asked.target) == ("POST", "/")
        assert json.loads(asked.body) == {"QueueUrl": url, "AttributeNames": [VISIBLE]}
        assert asked.headers["authorization"].startswith(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-west-1/sqs/aws4_request, "
        )
        assert "hunter2" not in str(asked)

    play(story)


def test_a_name_alone_is_asked_for_as_it_stands() -> None:
    async def story(aws: ReplayedAws, client: SqsClient) -> None:
        assert await client.attributes("empty", [VISIBLE])
        assert json.loads(aws.asked[0].body)["QueueUrl"] == "empty"

    play(story)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("no such queue", "QueueDoesNotExist: The specified queue does not exist"),
        ("no such attribute", "InvalidAttributeName: Unknown Attribute Nothing"),
        ("a wrong key", "SignatureDoesNotMatch: The request signature we calculated"),
        ("an unknown id", "InvalidClientTokenId: The security token included in the request is invalid"),
        ("not allowed", "AccessDenied: User: arn:aws:iam::123456789012:user/bob is not authorized"),
    ],
)
def test_refusals(answer: str, words: str) -> None:
    async def story(aws: ReplayedAws, client: SqsClient) -> None:
        aws.refused = answer
        with pytest.raises(TemporaryError, match=f"SQS in eu-west-1 refuses queue orders: {words}") as caught:
            await client.attributes("orders", [VISIBLE])
        assert "hunter2" not in str(caught.value)
        aws.refused = ""
        assert await client.attributes("orders", [VISIBLE])

    play(story)


def test_nobody_answers() -> None:
    async def story() -> None:
        reader = HttpReader()
        client = SqsClient(AwsAccess("eu-west-1", AwsIdentity(KEY), "http://127.0.0.1:1"), reader, FakeClock())
        with pytest.raises(TemporaryError, match="cannot be reached"):
            await client.attributes("orders", [VISIBLE])
        await reader.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("service", "region", "expected"),
    [
        ("sqs", "eu-west-1", "https://sqs.eu-west-1.amazonaws.com"),
        ("sts", "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_endpoints_of_aws(service: str, region: str, expected: str) -> None:
    assert endpoint_of(service, region) == expected
