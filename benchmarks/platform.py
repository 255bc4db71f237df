"""A whole platform as a user starts it, `pilotlight up` on free ports, and what benchmarks ask of it from outside."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

WAIT_S_MAX = 180.0
UP_S_MAX = 60.0
KEEP_S = 2.0  # the API closes what was idle for 5 s
WINDOW = "6s"  # the shortest that config-autoscaler takes
SERVICES = "/apis/serving.knative.dev/v1/namespaces/default/services"
SETTINGS = "/api/v1/namespaces/knative-serving/configmaps/config-autoscaler"
PAUSED = "pilotlight.dev/paused"
MERGE = "application/merge-patch+json"


@dataclass
class Platform:
    """One that runs. Not for several threads."""

    pid: int
    gateway_port: int
    kubeconfig: Path
    up_s: float  # from the command to the line that says that everything answers
    _connection: http.client.HTTPSConnection | None = field(default=None, repr=False)
    _token: str = field(default="", repr=False)
    _used: float = field(default=0.0, repr=False)

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """One request to the API, on a connection that is kept while it is in use. RuntimeError where it is refused."""
        if self._connection is None or time.monotonic() - self._used > KEEP_S:
            self._connection, self._token = _connect(self.kubeconfig)
        headers = {"authorization": f"Bearer {self._token}", "content-type": kind}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        self._used = time.monotonic()
        document = json.loads(answer.read())
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {document}")
        return document

    def connect(self) -> tuple[http.client.HTTPSConnection, str]:
        """A connection of one's own to the API, and the token to show."""
        return _connect(self.kubeconfig)

    def text(self, path: str) -> str:
        """What the API's listener answers to a GET, as it is."""
        connection, token = self.connect()
        connection.request("GET", path, None, {"authorization": f"Bearer {token}"})
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def sleep_soon(self) -> None:
        """Windows as short as the settings allow, so that what is not called sleeps in seconds."""
        data = {
            "stable-window": WINDOW,
            "scale-to-zero-grace-period": "1s",
            "scale-to-zero-pod-retention-period": "0s",
            "allow-zero-initial-scale": "true",
        }
        self.call("PATCH", SETTINGS, {"data": data}, MERGE)

    def stay_awake(self, replicas: int) -> None:
        """So many of each, also without a request."""
        self.call("PATCH", SETTINGS, {"data": {"min-scale": str(replicas)}}, MERGE)

    def create_service(self, name: str, pod: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> None:
        """A Service whose one container `pod` describes, `runtimeClassName` beside the container's own fields."""
        container = dict(pod)
        spec: dict[str, Any] = {"containers": [container]}
        for key in ("runtimeClassName", "containerConcurrency"):
            if key in container:
                spec[key] = container.pop(key)
        template = {"metadata": {"annotations": dict(annotations or {})}, "spec": spec}
        document = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name}}
        self.call("POST", SERVICES, {**document, "spec": {"template": template}})

    def wait_ready(self, names: Iterable[str]) -> None:
        """Until every named Service is Ready."""
        waiting, deadline = set(names), time.monotonic() + WAIT_S_MAX
        while waiting:
            services = self.call("GET", SERVICES)["items"]
            waiting -= {service["metadata"]["name"] for service in services if _is_ready(service)}
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready: {sorted(waiting)[:5]}")
            time.sleep(0.2 if waiting else 0)

    def wait_asleep(self) -> None:
        """Until no Pod is left but paused ones."""
        deadline = time.monotonic() + WAIT_S_MAX
        while any(not _is_paused(pod) for pod in self.call("GET", "/api/v1/namespaces/default/pods")["items"]):
            if time.monotonic() > deadline:
                raise TimeoutError("the functions did not fall asleep")
            time.sleep(0.3)

    def first_byte_ms(self, name: str) -> tuple[float, str]:
        """Of a request on a connection of its own; and the ledger that came with the answer."""
        began = time.perf_counter()
        head = self.ask(name)
        took = (time.perf_counter() - began) * 1e3
        if b" 200 " not in head[:20]:
            raise RuntimeError(head.decode(errors="replace"))
        lines = head.decode("latin-1").split("\r\n")
        return took, next((line for line in lines if line.lower().startswith("server-timing")), "")

    def ask(self, name: str) -> bytes:
        """What came first of the answer."""
        with socket.create_connection(("127.0.0.1", self.gateway_port), 60) as client:
            client.sendall(f"GET / HTTP/1.1\r\nhost: {name}.default.localhost\r\n\r\n".encode())
            return client.recv(65536)

    def memory_kib(self) -> int:
        """Proportional set size of the platform and of every process below it: shared pages count once."""
        return sum(_pss_kib(pid) for pid in processes(self.pid))

    def cpu_s(self) -> float:
        """Processor time that the platform and everything below it have used."""
        return sum(_cpu_s(pid) for pid in processes(self.pid))


@contextlib.contextmanager
def platform(data: Path, environ: Mapping[str, str] | None = None) -> Iterator[Platform]:
    """Ends it, too. RuntimeError where it does not start."""
    argv = [sys.executable, "-P", "-m", "pilotlight", "--data-dir", str(data), "up", "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*argv, "--gateway-port", "0", "--api-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environ or {})},
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip():
            raise RuntimeError(f"the platform did not start: {' '.join(argv)}")
        took, up = time.perf_counter() - began, json.loads(line)
        yield Platform(process.pid, int(up["gateway"].rsplit(":", 1)[1]), Path(up["kubeconfig"]), took)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(UP_S_MAX)


def _connect(kubeconfig: Path) -> tuple[http.client.HTTPSConnection, str]:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    tls = ssl.create_default_context(cadata=authority)
    host, _, port = cluster["server"].removeprefix("https://").rpartition(":")
    return http.client.HTTPSConnection(host, int(port), timeout=60, context=tls), config["users"][0]["user"]["token"]


def _is_ready(service: Mapping[str, Any]) -> bool:
    conditions = service.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _is_paused(pod: Mapping[str, Any]) -> bool:
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    return PAUSED in pod["metadata"].get("annotations", {}) and not ready


def processes(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                found.extend(map(int, (thread / "children").read_text().split()))
    return found


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
