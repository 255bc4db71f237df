"""As whom AWS is asked; STS says what moto said, containers and machines what AWS documents of them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.clients.aws_keys import AwsAccess, AwsIdentity, AwsKeys
from core.clients.aws_signature import AwsKey
from core.clients.http_reader import HttpReader
from core.errors import TemporaryError
from tests.support.answering import Answering, Asked, ok
from tests.support.clock import FakeClock
from tests.support.replay_aws import ReplayedAws

KEY = AwsKey("AKIDEXAMPLE", "hunter2")
ROLE = "arn:aws:iam::123456789012:role/orders"
EXPIRATION = 1795281015.0  # of the recorded keys, about
LENT = {"AccessKeyId": "ASIA", "SecretAccessKey": "hunter3", "Token": "t", "Expiration": "2023-11-14T23:13:20Z"}


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def keys(identity: AwsIdentity, reader: HttpReader, clock: FakeClock | None = None) -> AwsKeys:
    return AwsKeys(AwsAccess("eu-west-1", identity), reader, clock or FakeClock())


def found(identity: AwsIdentity = AwsIdentity()) -> AwsKey:  # noqa: B008
    async def run() -> AwsKey:
        reader = HttpReader()
        try:
            return await keys(identity, reader).key()
        finally:
            await reader.close()

    return asyncio.run(run())


def test_a_key_of_the_trigger_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    assert found(AwsIdentity(KEY)) == KEY


def test_nothing_is_there() -> None:
    with pytest.raises(TemporaryError, match=r"no AWS credentials: name a key .*AWS_ACCESS_KEY_ID"):
        found()


def test_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "word")
    assert found() == AwsKey("id", "word")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert found() == AwsKey("id", "word", "token")


def test_of_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    of_default = "[default]\naws_access_key_id = a\naws_secret_access_key = b%/=\naws_session_token = c\n"
    (tmp_path / ".aws/credentials").write_text(of_default)
    (tmp_path / ".aws/config").write_text("[profile ann]\naws_access_key_id=d\naws_secret_access_key=e\n")
    assert found() == AwsKey("a", "b%/=", "c")
    monkeypatch.setenv("AWS_PROFILE", "ann")
    assert found() == AwsKey("d", "e")
    (tmp_path / "elsewhere").write_text("[ann]\naws_access_key_id=f\naws_secret_access_key=g\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "elsewhere"))
    assert found() == AwsKey("f", "g")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    (tmp_path / "elsewhere").write_text("no section\n")
    with pytest.raises(TemporaryError, match="no AWS credentials"):
        found()


def test_a_role_is_taken_on_and_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        reader = HttpReader()
        async with ReplayedAws() as aws:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
            clock = FakeClock(wall=EXPIRATION - 3600)
            mine = keys(AwsIdentity(KEY, ROLE, "ext"), reader, clock)
            lent, *again = await asyncio.gather(*(mine.key() for _ in range(5)))
            assert (lent.id, round(lent.expires_at or 0)) == ("ASIARZPUZDIKD4FNFKD3", EXPIRATION)
            assert lent.token.startswith("FQoGZXIvYXdz")
            assert again == [lent] * 4
            assert aws.actions == ["AssumeRole"]
            body = aws.asked[0].body.decode()
            assert "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Forders" in body
            assert "ExternalId=ext" in body
            assert "/eu-west-1/sts/aws4_request" in aws.asked[0].headers["authorization"]
            clock.jump_wall(3600 - 299)
            await mine.key()
            assert aws.actions == ["AssumeRole"] * 2
            mine.forget()
            await mine.key()
            assert aws.actions == ["AssumeRole"] * 3
            await reader.close()

    asyncio.run(story())


@pytest.mark.parametrize("answer", ["a role that is refused", "a wrong key", "an unknown id"])
def test_a_role_that_is_refused(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    async def story() -> None:
        reader = HttpReader()
        async with ReplayedAws() as aws:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
            aws.refused = answer
            with pytest.raises(TemporaryError, match=rf"STS refuses AssumeRole of {ROLE}: \w+: ") as caught:
                await keys(AwsIdentity(KEY, ROLE), reader).key()
            assert "hunter2" not in str(caught.value)
            await reader.close()

    asyncio.run(story())


def test_a_web_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def story() -> None:
        reader = HttpReader()
        async with ReplayedAws() as aws:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
            monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
            monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
            mine = keys(AwsIdentity(role="arn:aws:iam::1:role/other"), reader, FakeClock(wall=EXPIRATION - 3600))
            with pytest.raises(TemporaryError, match=r"the token in .*token cannot be read: FileNotFoundError"):
                await mine.key()
            (tmp_path / "token").write_text("hunter2.web\n")
            assert (await mine.key()).id == "ASIARZPUZDIKD4FNFKD3"
            assert aws.actions == ["AssumeRoleWithWebIdentity", "AssumeRole"]
            assert b"WebIdentityToken=hunter2.web" in aws.asked[0].body
            assert "authorization" not in aws.asked[0].headers
            aws.refused = "an unknown id"
            mine.forget()
            with pytest.raises(TemporaryError) as caught:
                await mine.key()
            assert "hunter2" not in str(caught.value)
            await reader.close()

    asyncio.run(story())


def asked_of(reply: Callable[[Asked], bytes], prepare: Callable[[str], None]) -> tuple[AwsKey, list[Asked]]:
    async def run() -> tuple[AwsKey, list[Asked]]:
        reader = HttpReader()
        async with Answering(reply) as server:
            prepare(server.url)
            try:
                return await keys(AwsIdentity(), reader).key(), server.asked
            finally:
                await reader.close()

    return asyncio.run(run())


def test_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(url: str) -> None:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/creds")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word")

    key, (asked,) = asked_of(lambda _: ok(json.dumps(LENT)), prepare)
    assert key == AwsKey("ASIA", "hunter3", "t", 1_700_003_600.0)
    assert (asked.target, asked.headers["authorization"]) == ("/creds", "word")


def test_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(asked: Asked) -> bytes:
        if asked.method == "PUT":
            return ok("token")
        assert asked.headers["x-aws-ec2-metadata-token"] == "token"
        return ok("orders\n") if asked.target.endswith("/") else ok(json.dumps(LENT))

    def prepare(url: str) -> None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)

    key, asked = asked_of(reply, prepare)
    assert key.id == "ASIA"
    assert asked[-1].target == "/latest/meta-data/iam/security-credentials/orders"
    with pytest.raises(TemporaryError, match=r"no AWS credentials.*answered 404"):
        asked_of(lambda _: ok(status="404 Not Found"), prepare)


@pytest.mark.parametrize("body", ["not json", "[]", "{}", json.dumps({**LENT, "Expiration": "soon"})])
def test_an_answer_without_a_key(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    def prepare(url: str) -> None:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/creds")

    with pytest.raises(TemporaryError, match="answered 200") as caught:
        asked_of(lambda _: ok(body), prepare)
    assert "hunter3" not in str(caught.value)
