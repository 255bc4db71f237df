from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.clients.http_reader import Answer, HttpReader, Question, shown
from core.clients.tls import ClientTls
from core.errors import PermanentError, TemporaryError
from tests.support.answering import Answering, Asked, ok
from tests.support.functions import free_port

PLANTED = "s3cr3t-7Hq"


def ask(reply: Callable[[Asked], bytes | None], path: str = "/", **more: object) -> tuple[Answer, list[Asked]]:
    async def run() -> tuple[Answer, list[Asked]]:
        reader = HttpReader()
        async with Answering(reply) as server:
            try:
                return await reader.ask(Question(f"{server.url}{path}", **more)), server.asked  # type: ignore[arg-type]
            finally:
                await reader.close()

    return asyncio.run(run())


def test_a_question_and_its_ok() -> None:
    found, asked = ask(lambda _: ok(b"42", "418 Teapot"), f"/a?key={PLANTED}", headers={"X-Api": PLANTED})
    assert (found.status, found.body) == (418, b"42")
    assert found.shown.endswith("/a")
    assert (asked[0].target, asked[0].headers["x-api"]) == (f"/a?key={PLANTED}", PLANTED)


def test_a_connection_serves_several_questions() -> None:
    async def run() -> int:
        reader = HttpReader()
        async with Answering(lambda _: ok()) as server:
            for _ in range(3):
                await reader.ask(Question(server.url))
            await reader.close()
            return server.connections

    assert asyncio.run(run()) == 1


def test_a_redirect_on_the_same_host_is_followed_with_its_headers() -> None:
    def reply(asked: Asked) -> bytes:
        return ok(status="302 Found", Location="/b?x=1") if asked.target == "/a" else ok(b"b")

    found, asked = ask(reply, "/a", headers={"Authorization": PLANTED})
    assert found.body == b"b"
    assert [(each.target, each.headers["authorization"]) for each in asked] == [("/a", PLANTED), ("/b?x=1", PLANTED)]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(
            lambda _: ok(status="302 Found", Location="http://elsewhere.example/x?a=b"),
            "leads to http://elsewhere.example/x, another host",
            id="a redirect elsewhere",
        ),
        pytest.param(lambda _: ok(status="302 Found", Location="/"), "elsewhere more than 5 times", id="a circle"),
        pytest.param(lambda _: None, "closed the connection without an answer", id="closed"),
        pytest.param(lambda _: b"SSH-2.0-OpenSSH\r\n\r\n", "answered with what is no HTTP", id="no HTTP"),
        pytest.param(
            lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc",
            "broke its answer off",
            id="cut short",
        ),
    ],
)
def test_what_goes_wrong(reply: Callable[[Asked], bytes | None], words: str) -> None:
    with pytest.raises(TemporaryError) as caught:
        ask(reply, f"/?key={PLANTED}", headers={"X-Api": PLANTED})
    assert words in str(caught.value)
    assert PLANTED not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_nobody_listens() -> None:
    with pytest.raises(TemporaryError, match=r"^http://127.0.0.1:\d+/x cannot be reached: Connection refused$"):
        asyncio.run(_once(Question(f"http://user:{PLANTED}@127.0.0.1:{free_port()}/x?y=z")))


def test_a_name_that_is_none() -> None:
    with pytest.raises(TemporaryError, match="cannot be reached: its name cannot be resolved"):
        asyncio.run(_once(Question("http://nowhere.invalid/")))


def test_a_server_that_hangs() -> None:
    async def run() -> None:
        async with Answering(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n") as server:
            await _once(Question(server.url, timeout_s=0.05))

    with pytest.raises(TemporaryError, match=r"did not answer within 0.05 s"):
        asyncio.run(run())


@pytest.mark.parametrize("url", ["", "nats:4222", "ftp://x/", "http://", f"http://[{PLANTED}/", "/only/a/path"])
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(PermanentError, match="is no URL of the form") as caught:
        asyncio.run(_once(Question(url)))
    assert PLANTED not in str(caught.value)


def test_certificates_that_are_none() -> None:
    with pytest.raises(PermanentError, match="certificates cannot be used") as caught:
        asyncio.run(_once(Question("https://127.0.0.1:1/"), ClientTls(certificate="x", key=PLANTED)))
    assert PLANTED not in str(caught.value)


def test_tls(tmp_path: Path) -> None:
    certificate, key = _self_signed()
    (tmp_path / "chain.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem")

    async def run(tls: ClientTls) -> bytes:
        async with Answering(lambda _: ok(b"safe"), context) as server:
            host = server.url.removeprefix("https://").replace("127.0.0.1", "localhost")
            found = await _once(Question(server.url, host=host), tls)
            assert server.asked[-1].headers["host"] == host
            return found.body

    assert asyncio.run(run(ClientTls(ca=certificate))) == b"safe"
    assert asyncio.run(run(ClientTls(check=False))) == b"safe"
    with pytest.raises(TemporaryError, match="has a certificate that is not trusted: self-signed certificate"):
        asyncio.run(run(ClientTls()))


def test_the_key_of_a_certificate_is_not_shown() -> None:
    assert PLANTED not in repr(ClientTls(key=PLANTED, key_password=PLANTED))
    assert PLANTED not in repr(Question(PLANTED, {"A": PLANTED}, body=PLANTED.encode()))
    assert shown(f"https://me:{PLANTED}@host:1/path?{PLANTED}#{PLANTED}") == "https://host:1/path"


async def _once(question: Question, tls: ClientTls | None = None) -> Answer:
    reader = HttpReader(tls)
    try:
        return await reader.ask(question)
    finally:
        await reader.close()


def _self_signed() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem).decode(), private.decode()
