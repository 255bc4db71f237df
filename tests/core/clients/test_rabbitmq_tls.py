"""TLS to a real RabbitMQ, over AMQP and over the management API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_depths import Depths
from core.clients.rabbitmq_management import Management, ManagementAccess
from core.clients.tls import ClientTls
from core.clock import SystemClock
from core.errors import PermanentError, TemporaryError
from tests.support.identities import KEY_PASSWORD, Identities, make_identities
from tests.support.rabbitmq import Rabbitmq, free_ports, running_rabbitmq

CONF = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
management.ssl.ip = 127.0.0.1
management.ssl.port = {http_port}
management.ssl.cacertfile = {folder}/ca.pem
management.ssl.certfile = {folder}/server.pem
management.ssl.keyfile = {folder}/server.key
"""


class Secure:
    def __init__(self, server: Rabbitmq, port: int, http_port: int, certificates: Identities) -> None:
        self.server = server
        self.certificates = certificates
        self.trust = ClientTls(certificates.authority)
        self.access = Access("127.0.0.1", port, tls=True, trust=self.trust)
        self.management = ManagementAccess(f"https://127.0.0.1:{http_port}", "guest", "guest", self.trust)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder: Path = tmp_path_factory.mktemp("tls")
    certificates = make_identities()
    (folder / "ca.pem").write_text(certificates.authority)
    (folder / "server.pem").write_text(certificates.server)
    (folder / "server.key").write_text(certificates.server_key)
    port, http_port = free_ports(2)
    conf = CONF.format(folder=folder, port=port, http_port=http_port)
    with running_rabbitmq(conf, ",rabbitmq_auth_mechanism_ssl") as server:
        server.add_user("client", "unused")
        server.allow("client", "/")
        server.ask("PUT", "queues/%2f/q", {"durable": True})
        yield Secure(server, port, http_port, certificates)


async def depth(access: Access) -> int:
    depths = Depths(access, "test", SystemClock())
    try:
        return await depths.depth("q")
    finally:
        await depths.close()


async def answers(access: ManagementAccess) -> bool:
    management = Management(access)
    try:
        return (await management.queue("/", "q", 5)).name == "q"
    finally:
        await management.close()


def test_an_authority_of_ones_own(secure: Secure) -> None:
    assert asyncio.run(depth(secure.access)) == 0
    assert asyncio.run(answers(secure.management))


@pytest.mark.parametrize(
    "trust", [ClientTls(), ClientTls(make_identities().authority)], ids=["the machine's", "another"]
)
def test_whom_nobody_vouches_for_is_not_spoken_to(secure: Secure, trust: ClientTls) -> None:
    with pytest.raises(TemporaryError, match=r"(?i)certificate"):
        asyncio.run(depth(replace(secure.access, trust=trust)))
    with pytest.raises(TemporaryError, match=r"(?i)certificate"):
        asyncio.run(answers(replace(secure.management, tls=trust)))


def test_unless_one_does_not_care(secure: Secure) -> None:
    assert asyncio.run(depth(replace(secure.access, trust=ClientTls(check=False)))) == 0
    assert asyncio.run(answers(replace(secure.management, tls=ClientTls(check=False))))


@pytest.mark.parametrize("locked", [False, True])
def test_a_certificate_says_who_one_is(secure: Secure, locked: bool) -> None:
    found = secure.certificates
    key = found.locked_client_key if locked else found.client_key
    trust = replace(secure.trust, certificate=found.client, key=key, key_password=KEY_PASSWORD if locked else "")
    access = replace(secure.access, trust=trust, external=True, user="", password="")
    assert asyncio.run(depth(access)) == 0
    with pytest.raises(TemporaryError):  # nobody is known by none
        asyncio.run(depth(replace(access, trust=secure.trust)))


def test_what_cannot_be_used_is_told_at_once() -> None:
    trust = ClientTls(certificate="-----BEGIN", key="secret-key")
    with pytest.raises(PermanentError, match="the certificates cannot be used: ") as failed:
        asyncio.run(depth(Access("127.0.0.1", 1, tls=True, trust=trust)))
    assert "secret" not in str(failed.value)
