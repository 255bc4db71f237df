"""A whole platform with functions that fall asleep: started, deployed to and called as a user would. For benchmarks."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SLEEP_S_MAX = 120.0
UP_S_MAX = 30.0
WINDOW = "6s"  # the shortest that config-autoscaler takes


@dataclass
class SleepingPlatform:
    """Addresses of a platform that runs."""

    gateway_port: int
    data: Path
    api: str
    token: str
    tls: ssl.SSLContext

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """One request to the API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.token}", "content-type": kind}
        request = urllib.request.Request(self.api + path, data, headers, method=method)
        with urllib.request.urlopen(request, context=self.tls, timeout=30) as response:
            return json.load(response)

    def deploy(self, name: str, folder: Path) -> None:
        command(self.data, "deploy", name, "--source", str(folder), "-a", f"autoscaling.knative.dev/window={WINDOW}")

    def wait_asleep(self) -> None:
        deadline = time.monotonic() + SLEEP_S_MAX
        while self.call("GET", "/api/v1/namespaces/default/pods")["items"]:
            if time.monotonic() > deadline:
                raise TimeoutError("the functions did not fall asleep")
            time.sleep(0.5)

    def first_byte_ms(self, name: str) -> tuple[float, str]:
        """Of a request on a connection of its own; and the ledger that came with the answer."""
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", self.gateway_port), 60) as client:
            client.sendall(f"GET / HTTP/1.1\r\nhost: {name}.default.localhost\r\n\r\n".encode())
            head = client.recv(65536)
            took = (time.perf_counter() - began) * 1e3
        if b" 200 " not in head[:20]:
            raise RuntimeError(head.decode(errors="replace"))
        lines = head.decode("latin-1").split("\r\n")
        return took, next((line for line in lines if line.lower().startswith("server-timing")), "")


@contextlib.contextmanager
def sleeping_platform(folder: Path) -> Iterator[SleepingPlatform]:
    """Ends it, too. RuntimeError where it does not start."""
    data = folder / "data"
    argv = [sys.executable, "-m", "pilotlight", "--data-dir", str(data), "up", "--json"]
    process = subprocess.Popen(
        [*argv, "--gateway-port", "0", "--api-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.strip():
            raise RuntimeError(f"the platform did not start: {' '.join(argv)}")
        up = json.loads(line)
        platform = _connect(up, data)
        shortest = {"data": {"stable-window": WINDOW, "scale-to-zero-grace-period": WINDOW}}
        path = "/api/v1/namespaces/knative-serving/configmaps/config-autoscaler"
        platform.call("PATCH", path, shortest, "application/merge-patch+json")
        yield platform
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(UP_S_MAX)


def _connect(up: dict[str, Any], data: Path) -> SleepingPlatform:
    config = yaml.safe_load(Path(up["kubeconfig"]).read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    tls = ssl.create_default_context(cadata=authority)
    port = int(up["gateway"].rsplit(":", 1)[1])
    return SleepingPlatform(port, data, up["api"], config["users"][0]["user"]["token"], tls)


def command(data: Path, *arguments: str) -> None:
    argv = [sys.executable, "-m", "pilotlight", "--data-dir", str(data), *arguments]
    subprocess.run(argv, check=True, capture_output=True)
