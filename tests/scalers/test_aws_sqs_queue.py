"""Rows of metadata are those of upstream's test (pkg/scalers/aws_sqs_queue_scaler_test.go); answers are moto's."""

from __future__ import annotations

import asyncio
import json

import pytest

from core.clients.aws_keys import AwsIdentity
from core.clients.aws_signature import AwsKey
from core.errors import PermanentError, TemporaryError
from scalers.aws_sqs_queue import DELAYED, NOT_VISIBLE, VISIBLE, SqsParameters
from scalers.readings import Reading, Target
from tests.support.answering import ok
from tests.support.replay_aws import ReplayedAws, said
from tests.support.scalers import make_scaler, make_trigger, make_world, parsed, reading_of, target_of

AUTH = {"awsAccessKeyId": "none", "awsSecretAccessKey": "hunter2"}
KEY = AwsKey("none", "hunter2")
QUEUE = "https://sqs.eu-west-1.amazonaws.com/account_id/DeleteArtifactQ"
METADATA = {"queueURL": QUEUE, "queueLength": "1", "awsRegion": "eu-west-1"}
ENV = {"ID": "id", "WORD": "hunter3", "QUEUE_URL": QUEUE}


@pytest.mark.parametrize(
    ("metadata", "auth", "wrong"),
    [
        pytest.param({}, AUTH, "queueURL", id="nothing"),
        pytest.param(METADATA, AUTH, "", id="queue and region"),
        pytest.param({**METADATA, "queueURL": "", "queueURLFromEnv": "QUEUE_URL"}, AUTH, "", id="of the environment"),
        pytest.param({**METADATA, "queueURL": QUEUE.rpartition("/")[0]}, AUTH, "queueURL", id="no name"),
        pytest.param({**METADATA, "queueURL": "https://sqs.eu-west-1.amazonaws.com"}, AUTH, "queueURL", id="no path"),
        pytest.param({**METADATA, "awsRegion": ""}, AUTH, "awsRegion", id="an empty region"),
        pytest.param({**METADATA, "awsRegion": "evil.example/"}, AUTH, "awsRegion", id="a region that is none"),
        pytest.param({**METADATA, "awsRegion": ""}, {**AUTH, "awsRegion": "eu-west-1"}, "", id="a region of the auth"),
        pytest.param({**METADATA, "queueLength": "a"}, AUTH, "queueLength", id="a length that is none"),
        pytest.param({**METADATA, "queueLength": "0"}, AUTH, "queueLength", id="differs: 0 per replica"),
        pytest.param({**METADATA, "activationQueueLength": "1"}, AUTH, "", id="an activation"),
        pytest.param({**METADATA, "activationQueueLength": "a"}, AUTH, "activationQueueLength", id="that is none"),
        pytest.param(METADATA, {**AUTH, "awsSessionToken": "t"}, "", id="a token"),
        pytest.param(METADATA, {**AUTH, "awsAccessKeyId": ""}, "awsAccessKeyID", id="no id"),
        pytest.param(METADATA, {**AUTH, "awsSecretAccessKey": ""}, "awsSecretAccessKey", id="no key"),
        pytest.param(
            METADATA, {"awsSecretAccessKey": "s", "awsSessionToken": "t"}, "awsAccessKeyID", id="token, no id"
        ),
        pytest.param(
            METADATA, {"awsAccessKeyId": "i", "awsSessionToken": "t"}, "awsSecretAccessKey", id="token, no key"
        ),
        pytest.param(METADATA, {}, "awsAccessKeyID", id="no identity at all"),
        pytest.param(METADATA, {"awsRoleArn": "none"}, "", id="a role"),
        pytest.param({**METADATA, "identityOwner": "operator"}, {"awsAccessKeyId": ""}, "", id="the operator's"),
        pytest.param({**METADATA, "identityOwner": "me"}, AUTH, "identityOwner", id="an owner that is none"),
        pytest.param({**METADATA, "queueURL": "my-queue"}, AUTH, "", id="a name alone"),
        pytest.param({**METADATA, "scaleOnInFlight": "false"}, AUTH, "", id="not those in flight"),
        pytest.param({**METADATA, "scaleOnInFlight": "perhaps"}, AUTH, "scaleOnInFlight", id="no truth"),
        pytest.param({**METADATA, "awsEndpoint": "localhost:4566"}, AUTH, "awsEndpoint", id="an endpoint that is none"),
    ],
)
def test_metadata(metadata: dict[str, str], auth: dict[str, str], wrong: str) -> None:
    trigger = make_trigger("aws-sqs-queue", metadata, auth=auth, env=ENV)
    if not wrong:
        assert isinstance(parsed(trigger), SqsParameters)
        return
    with pytest.raises(PermanentError, match=rf"spec\.triggers\[0\]\.metadata\.{wrong}: ") as caught:
        parsed(trigger)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "auth", "pod_identity", "expected"),
    [
        ({}, AUTH, "", AwsIdentity(KEY)),
        ({}, {"awsAccessKeyID": "none", "awsSecretAccessKey": "hunter2"}, "none", AwsIdentity(KEY)),
        (
            {"awsAccessKeyIDFromEnv": "ID", "awsSecretAccessKeyFromEnv": "WORD"},
            {},
            "",
            AwsIdentity(AwsKey("id", "hunter3")),
        ),
        ({"awsAccessKeyID": "id", "awsSecretAccessKeyFromEnv": "WORD"}, {}, "", AwsIdentity(AwsKey("id", "hunter3"))),
        ({}, {**AUTH, "awsRoleArn": "arn", "awsExternalId": "x"}, "", AwsIdentity(None, "arn", "x")),
        ({"identityOwner": "operator"}, AUTH, "", AwsIdentity()),
        ({"identityOwner": "operator"}, {"awsRoleArn": "arn"}, "", AwsIdentity(None, "arn")),
        ({}, {"awsExternalId": "x"}, "aws", AwsIdentity()),
        ({}, {"awsRoleArn": "arn"}, "aws", AwsIdentity(None, "arn")),
    ],
)
def test_as_whom(metadata: dict[str, str], auth: dict[str, str], pod_identity: str, expected: AwsIdentity) -> None:
    trigger = make_trigger("aws-sqs-queue", {**METADATA, **metadata}, auth=auth, env=ENV, pod_identity=pod_identity)
    found = parsed(trigger)
    assert isinstance(found, SqsParameters)
    assert found.identity(trigger) == expected


@pytest.mark.parametrize(
    ("metadata", "target"),
    [
        (METADATA, Target("aws-sqs-DeleteArtifactQ", 1.0)),
        ({"queueURL": "my-queue.fifo", "awsRegion": "eu-west-1"}, Target("aws-sqs-my-queue-fifo", 5.0)),
        ({**METADATA, "activationQueueLength": "3"}, Target("aws-sqs-DeleteArtifactQ", 1.0, 3.0)),
    ],
)
def test_its_target(metadata: dict[str, str], target: Target) -> None:
    assert asyncio.run(target_of(make_scaler(make_trigger("aws-sqs-queue", metadata, auth=AUTH)))) == target


@pytest.mark.parametrize(
    ("metadata", "names", "reading"),
    [
        ({}, [VISIBLE, NOT_VISIBLE], Reading(7.0, in_flight=3.0)),
        ({"scaleOnInFlight": "false"}, [VISIBLE], Reading(4.0)),
        ({"scaleOnDelayed": "true"}, [VISIBLE, NOT_VISIBLE, DELAYED], Reading(9.0, in_flight=3.0)),
        ({"scaleOnInFlight": "false", "scaleOnDelayed": "true"}, [VISIBLE, DELAYED], Reading(6.0)),
    ],
)
def test_what_counts(metadata: dict[str, str], names: list[str], reading: Reading) -> None:
    async def story() -> None:
        async with ReplayedAws() as aws:
            there = {**METADATA, "queueURL": f"{aws.url}/123456789012/orders", "awsEndpoint": aws.url}
            scaler = make_scaler(make_trigger("aws-sqs-queue", {**there, **metadata}, auth=AUTH))
            assert await reading_of(scaler) == reading
            assert json.loads(aws.asked[0].body)["AttributeNames"] == names
            await scaler.close()

    asyncio.run(story())


def test_to_zero_and_back_with_refusals_in_between() -> None:
    async def story() -> None:
        async with ReplayedAws() as aws:
            metadata = {**METADATA, "queueURL": f"{aws.url}/123456789012/orders", "awsEndpoint": aws.url}
            scaler = make_scaler(make_trigger("aws-sqs-queue", metadata, auth=AUTH))
            aws.queues["orders"] = "an empty queue"
            assert await reading_of(scaler) == Reading(0.0, in_flight=0.0)
            aws.queues["orders"] = "a queue"
            assert (await reading_of(scaler)).value == 7
            for answer in ("no such queue", "not allowed", "a wrong key"):
                aws.refused = answer
                with pytest.raises(TemporaryError, match="SQS in eu-west-1 refuses queue"):
                    await scaler.read()
            aws.refused = ""
            assert (await reading_of(scaler)).value == 7
            assert aws.connections == 1
            await scaler.close()

    asyncio.run(story())


@pytest.mark.parametrize("attributes", [{}, {VISIBLE: "4"}, {VISIBLE: "NotInt", NOT_VISIBLE: "NotInt"}])
def test_an_answer_without_its_numbers_is_not_zero(attributes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.replay_aws.said", lambda _: ok(json.dumps({"Attributes": attributes})))

    async def story() -> None:
        async with ReplayedAws() as aws:
            scaler = make_scaler(make_trigger("aws-sqs-queue", {**METADATA, "awsEndpoint": aws.url}, auth=AUTH))
            with pytest.raises(TemporaryError, match="without a number of"):
                await scaler.read()
            await scaler.close()

    asyncio.run(story())


def test_triggers_of_a_credential_share_its_connections() -> None:
    async def story() -> None:
        async with ReplayedAws() as aws:
            world = make_world()
            there = {**METADATA, "awsEndpoint": aws.url}
            scalers = [
                make_scaler(make_trigger("aws-sqs-queue", {**there, "queueURL": name}, auth=AUTH), world)
                for name in ("orders", "empty") * 10
            ]
            await asyncio.gather(*(scaler.read() for scaler in scalers))
            assert len(world.pools) == 2
            assert aws.connections <= 4
            for scaler in scalers:
                await scaler.close()
            assert len(world.pools) == 0

    asyncio.run(story())


def test_the_recorded_answers_are_there() -> None:
    assert said("a queue").startswith(b"HTTP/1.1 200")
