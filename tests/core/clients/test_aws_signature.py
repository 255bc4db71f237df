from __future__ import annotations

import pytest

from core.clients.aws_signature import AwsKey, AwsRequest, signed_headers

SQS = AwsRequest(
    "https://sqs.eu-west-1.amazonaws.com/",
    "sqs",
    "eu-west-1",
    {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.GetQueueAttributes"},
    b'{"QueueUrl": "q"}',
)


@pytest.mark.parametrize(
    ("request_", "key", "now", "signature"),
    [
        pytest.param(
            AwsRequest("https://example.amazonaws.com", "service", "us-east-1", {}),
            AwsKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            1_440_938_160.0,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="AWS's own test suite: post-vanilla",
        ),
        pytest.param(
            SQS,
            AwsKey("AKID", "secret/+"),
            1_700_000_000.0,
            "db763dcf0522b8cdf980ddfa8766d90c71f152f76e40389d296feca9265b0493",
            id="as botocore 1.44.5 signs it",
        ),
        pytest.param(
            SQS,
            AwsKey("AKID", "secret/+", "tok/en+="),
            1_700_000_000.0,
            "9fb982dfde5a85ff6ab6cef71ed3cc9b6c55920dceb8527e03e602703039a24f",
            id="with a token, as botocore 1.44.5",
        ),
    ],
)
def test_signatures(request_: AwsRequest, key: AwsKey, now: float, signature: str) -> None:
    headers = signed_headers(request_, key, now)
    assert headers["authorization"].endswith(f"Signature={signature}")
    assert headers.get("x-amz-security-token", "") == key.token
    assert request_.headers.items() <= headers.items()
    assert "host" not in headers


def test_no_secret_is_shown() -> None:
    assert "hunter2" not in repr(AwsKey("id", "hunter2", "hunter2"))
