"""A Kafka and a RabbitMQ for the demo: one that somebody names, one that is installed, or one in a container engine.

What is started here is gone with the demo, listens on loopback, and keeps its data in the demo's folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.clients.engine import Engine, EngineDown
from core.clients.kubernetes import KubernetesClient
from core.errors import NotFound
from core.resources.meta import Json
from core.resources.pilotlight import ADDRESS
from core.resources.pods import POD
from pilotlight.cli.session import NotReady

UP_S: Final = 60.0
PULL_S: Final = 300.0
KAFKA_IMAGE: Final = "docker.io/apache/kafka:4.1.0"
RABBITMQ_IMAGE: Final = "docker.io/library/rabbitmq:4"
RABBITMQ_FOLDERS: Final = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", "/opt/homebrew/sbin", "/usr/local/sbin")
"""First those without a wrapper that wants to be another user."""

KAFKA_FOLDERS: Final = ("/opt/kafka", "/usr/local/kafka")
_KAFKA: Final = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/kafka-data
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How a broker is had: in words, and what `demo_lag` needs to know to begin. Empty `command` and `pod`: it runs."""

    words: str
    address: str  # `127.0.0.1:9092`, or an AMQP URL
    command: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()  # runs as long
    environment: Mapping[str, str] | None = None
    pod: Json | None = None

    @property
    def theirs(self) -> bool:
        """It was there before the demo, and stays."""
        return not self.command and self.pod is None


def find_kafka(folder: Path) -> Way | None:
    """None where there is none to be had."""
    if named := os.environ.get("KAFKA_BOOTSTRAP"):
        return Way("KAFKA_BOOTSTRAP", named)
    libraries = _kafka_libraries()
    port, controller = _free_port(), _free_port()
    address = f"127.0.0.1:{port}"
    if libraries is not None and shutil.which("java"):
        settings = folder / "kafka.properties"
        settings.write_text(_KAFKA.format(folder=folder, port=port, controller=controller))
        java = ("java", "-Xmx256m", "-cp", f"{libraries}/*")
        subprocess.run(
            [*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(settings)],
            check=True,
            capture_output=True,
        )
        return Way(str(libraries.parent), address, (*java, "kafka.Kafka", str(settings)))
    if asyncio.run(_has_engine()):
        listeners = f"PLAINTEXT://:{port},CONTROLLER://:{controller}"
        return Way(KAFKA_IMAGE, address, pod=_pod("kafka", KAFKA_IMAGE, port, _kafka_variables(address, listeners)))
    return None


def find_rabbitmq(folder: Path) -> Way | None:
    """None where there is none to be had."""
    if named := os.environ.get("RABBITMQ_URL"):
        return Way("RABBITMQ_URL", named)
    port = _free_port()
    address = f"amqp://guest:guest@127.0.0.1:{port}/"
    found = shutil.which("rabbitmq-server", path=":".join((*RABBITMQ_FOLDERS, os.environ.get("PATH", ""))))
    if found is not None:
        names = _free_port()
        # Its own, for one that RabbitMQ starts would outlive it.
        beside = ("epmd", "-port", str(names), "-address", "127.0.0.1") if shutil.which("epmd") else ()
        return Way(found, address, (found,), beside, _rabbitmq_variables(folder, port, names))
    if asyncio.run(_has_engine()):
        return Way(
            RABBITMQ_IMAGE, address, pod=_pod("rabbitmq", RABBITMQ_IMAGE, port, {"RABBITMQ_NODE_PORT": str(port)})
        )
    return None


@contextmanager
def started(way: Way, log: Path) -> Iterator[None]:
    """Runs its command, if it has one, until the block ends. NotReady with its last words."""
    if not way.command:
        yield
        return
    processes = [_start(command, way, log) for command in (way.beside, way.command) if command]
    try:
        _await(processes[-1], way, log)
        yield
    finally:
        for process in reversed(processes):
            _end(process)


async def open_pod(client: KubernetesClient, way: Way) -> None:
    """Starts its container, if it has one, and returns when it listens. NotReady with the engine's own words."""
    if way.pod is None:
        return
    name = way.pod["metadata"]["name"]
    await client.create(POD, way.pod)
    deadline = time.perf_counter() + PULL_S
    while True:
        try:
            pod = await client.get(POD, name, "default")
        except NotFound:
            raise NotReady(f"the Pod {name} was deleted") from None
        if (pod["metadata"].get("annotations") or {}).get(ADDRESS) and _listens(way.address):
            return
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            waiting = status["state"].get("waiting") or {}
            if waiting.get("reason", "").startswith("ErrImage") or time.perf_counter() > deadline:
                raise NotReady(f"{way.words} does not start: {waiting.get('message') or 'no answer'}")
        await asyncio.sleep(0.5)


def _kafka_libraries() -> Path | None:
    homes = [Path(home) for home in (os.environ.get("KAFKA_HOME", ""), *KAFKA_FOLDERS) if home]
    if script := shutil.which("kafka-server-start.sh") or shutil.which("kafka-server-start"):
        homes.append(Path(script).resolve().parent.parent)
    return next((home / "libs" for home in homes if any((home / "libs").glob("kafka_*.jar"))), None)


def _kafka_variables(address: str, listeners: str) -> dict[str, str]:
    controller = listeners.rpartition(":")[2]
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": listeners,
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{address}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@localhost:{controller}",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


def _rabbitmq_variables(folder: Path, port: int, names: int) -> dict[str, str]:
    settings = folder / "rabbitmq.conf"
    settings.write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users.guest = true\ndisk_free_limit.absolute = 50MB\n"
    )
    (folder / "enabled_plugins").write_text("[].")
    for name in ("data", "log"):
        (folder / f"rabbitmq-{name}").mkdir(exist_ok=True)
    return {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"demo{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(settings),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "rabbitmq-data"),
        "RABBITMQ_LOG_BASE": str(folder / "rabbitmq-log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
    }


def _pod(name: str, image: str, port: int, variables: Mapping[str, str]) -> Json:
    env = [{"name": key, "value": value} for key, value in variables.items()]
    container = {"name": name, "image": image, "ports": [{"containerPort": port}], "env": env}
    spec = {"runtimeClassName": "container", "containers": [container], "terminationGracePeriodSeconds": 2}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def _has_engine() -> bool:
    engine = Engine(os.environ)
    try:
        await engine.connect()
    except EngineDown:
        return False
    else:
        return True
    finally:
        await engine.close()


def _start(command: tuple[str, ...], way: Way, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env={**os.environ, **(way.environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _await(process: subprocess.Popen[bytes], way: Way, log: Path) -> None:
    deadline = time.perf_counter() + UP_S
    while not _listens(way.address):
        if process.poll() is not None or time.perf_counter() > deadline:
            last = log.read_text(errors="replace").strip()[-500:]
            raise NotReady(f"{way.words} did not start: {last or f'exit code {process.returncode}'}")
        time.sleep(0.1)


def _listens(address: str) -> bool:
    """Of a bootstrap server or an AMQP URL of this machine."""
    host, _, port = address.rpartition("@")[2].strip("/").rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """All of its process group, which was made for it."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(5)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
