"""A real Apache Kafka for tests: one broker of one's own on loopback, its jars from Maven Central, fetched once.

Three listeners: plain, SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER), and SASL over TLS. It can be killed and
started again on the same ports with what it had stored. `kafka_server()` is the one of this test session.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import datetime
import fcntl
import functools
import ipaddress
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from core.clients.kafka_access import Access
from core.clients.kafka_admin import Admin
from core.clients.kafka_terms import Partition

VERSION = os.environ.get("KAFKA_VERSION", "4.1.0")
USER, PASSWORD = "alice", "open sesame"
_UP_S = 60.0
_HOW = "apt-get install default-jre-headless maven (tests/support/need.sh does)"
_PR_SET_PDEATHSIG = 1
# A child dies with the thread that started it, and this one lives as long as the process.
_starter = ThreadPoolExecutor(1)
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""
_CONFIGURATION = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{tls},\
CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
{logins}
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_LOGINS = {
    "PLAIN": f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    **dict.fromkeys(_SCRAM, "org.apache.kafka.common.security.scram.ScramLoginModule required;"),
    # Any token will do that says who it is of: a JSON Web Token without a signature.
    "OAUTHBEARER": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
    'unsecuredLoginStringClaim_sub="kafka";',
}
# ApiVersions, version 0, from nobody in particular.
_QUESTION = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class KafkaServer:
    """One broker. `start` waits until it serves; `kill` is what a power cut does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jars = jars()
        self._process: subprocess.Popen[bytes] | None = None
        plain, sasl, tls, controller = _free_ports(4)
        self._ports = {"plain": plain, "sasl": sasl, "tls": tls}
        key, self._certificate = _certificate()
        (folder / "server.pem").write_text(key + self._certificate)
        logins = "\n".join(
            f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config={login}"
            for listener in ("sasl_plaintext", "sasl_ssl")
            for mechanism, login in _LOGINS.items()
        )
        configuration = _CONFIGURATION.format(folder=folder, controller=controller, logins=logins, **self._ports)
        (folder / "server.properties").write_text(configuration)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports['plain']}"

    @property
    def sasl_bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports['sasl']}"

    @property
    def tls_bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports['tls']}"

    @property
    def ca(self) -> str:
        """In PEM, of the certificate that the TLS listener shows."""
        return self._certificate

    @property
    def access(self) -> Access:
        """The plain way in."""
        return Access((self.bootstrap,))

    def start(self) -> None:
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()
        self._process = _starter.submit(self._run).result()
        deadline = time.monotonic() + _UP_S
        while not self._serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Kafka did not come up: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def suspend(self) -> None:
        """It is there and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as output:
            return subprocess.Popen(
                self._command("kafka.Kafka", str(self._folder / "server.properties")),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def _format(self) -> None:
        scram = [f"{name}=[name={USER},password={PASSWORD}]" for name in _SCRAM]
        command = self._command(
            *("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg"),
            *("-c", str(self._folder / "server.properties"), "--add-scram", scram[0], "--add-scram", scram[1]),
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=_UP_S, check=False)
        if done.returncode:
            pytest.fail(f"Kafka's storage could not be made: {done.stdout}{done.stderr}")

    def _command(self, *arguments: str) -> list[str]:
        tuning = ("-Xmx256m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", *tuning, quiet, "-cp", f"{self._jars}/*", *arguments]

    def _serves(self) -> bool:
        """The port opens before the broker serves (after a kill its old registration must lapse first): so ask."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._ports["plain"]), 1) as asked:
            asked.settimeout(1)
            asked.sendall(_QUESTION)
            return len(asked.recv(4)) == 4
        return False


@functools.cache
def kafka_server() -> KafkaServer:
    """Started once, for all tests of this process. Skips the test where Kafka cannot be had."""
    folder = Path(tempfile.mkdtemp(prefix="pilotlight-kafka-"))
    try:
        server = KafkaServer(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    atexit.register(server.close)
    server.start()
    _coordinate(server)
    return server


def _coordinate(server: KafkaServer) -> None:
    """Waits until groups can be asked for: the first question makes the topic that their offsets are kept in."""
    deadline = time.monotonic() + _UP_S
    client = KafkaAdminClient(bootstrap_servers=server.bootstrap)
    while True:
        try:
            client.list_group_offsets([f"nobody-{n}" for n in range(16)])  # of each of its partitions some
            break
        except kafka_errors.RetriableError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    client.close()


async def commit(admin: Admin, group: str, offsets: Mapping[Partition, int]) -> None:
    """As a consumer would; there is none."""
    wanted = {TopicPartition(*each): OffsetAndMetadata(to, "", -1) for each, to in offsets.items()}

    def alter(client: KafkaAdminClient) -> None:
        for each, error in client.alter_group_offsets(group, wanted).items():
            if error is not kafka_errors.NoError:  # a new group's coordinator may not be there yet: it is tried again
                raise error(f"{group}: {each}")

    await admin._ask(alter)


def jars() -> Path:
    """Kafka's jars, fetched where they are not here yet."""
    if shutil.which("java") is None:
        pytest.skip(f"no Java for Kafka: {_HOW}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pilotlight" / f"kafka-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not (cache / "complete").exists():
            _fetch(cache)
    return cache / "lib"


def _fetch(cache: Path) -> None:
    if shutil.which("mvn") is None:
        pytest.skip(f"no Maven to fetch Kafka with: {_HOW}")
    (cache / "pom.xml").write_text(_POM)
    copy = ("dependency:copy-dependencies", f"-DoutputDirectory={cache}/lib", "-DincludeScope=runtime")
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(cache / "pom.xml"), *copy],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"Kafka {VERSION} could not be fetched from Maven Central: {done.stdout[-500:]}")
    (cache / "complete").touch()


def _die_with_parent() -> None:
    """A test process that is killed leaves no server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _certificate() -> tuple[str, str]:
    """A key and a certificate of 127.0.0.1, signed with it, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return (
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode(),
        certificate.public_bytes(pem).decode(),
    )
