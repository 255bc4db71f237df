"""Receivers as Knative's conformance tests have them: named, they keep what they get, refuse the first few, reply.

One server for all of them, told apart by Host; the platform reaches it through core Services without selectors.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Got:
    """One request. `received` is False where it was refused on purpose."""

    headers: Mapping[str, str]
    body: bytes
    received: bool
    time: float

    @property
    def attributes(self) -> dict[str, str]:
        return {name[3:]: value for name, value in self.headers.items() if name.startswith("ce-")}


@dataclass(frozen=True)
class Answer:
    status: int = 202
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Receiver:
    """`drop`: how many are refused first, with `refusal`."""

    drop: int = 0
    refusal: Answer = Answer(409)
    reply: Callable[[Got], Answer] = lambda got: Answer()
    got: list[Got] = field(default_factory=list)

    @property
    def pattern(self) -> list[bool]:
        return [each.received for each in self.got]


class Hub:
    def __init__(self, port: int) -> None:
        self.port = port
        self.receivers: dict[str, Receiver] = {}
        self._lock = threading.Lock()

    def add(self, name: str, receiver: Receiver | None = None) -> Receiver:
        return self.receivers.setdefault(name, receiver or Receiver())

    def answer(self, host: str, headers: Mapping[str, str], body: bytes) -> Answer:
        receiver = self.receivers.get(host.partition(".")[0])
        if receiver is None:
            return Answer(404)
        with self._lock:
            received = len(receiver.got) >= receiver.drop
            got = Got(headers, body, received, time.monotonic())
            receiver.got.append(got)
        return receiver.reply(got) if received else receiver.refusal

    def service(self, name: str, namespace: str) -> list[Json]:
        """The documents by which the platform finds a receiver."""
        meta = {"name": name, "namespace": namespace}
        port = {"name": "http", "protocol": "TCP"}
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"ports": [{**port, "port": 80, "targetPort": self.port}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["127.0.0.1"]}],
                "ports": [{**port, "port": self.port}],
            },
        ]


def transformed(type: str, source: str, data: str = "") -> Callable[[Got], Answer]:
    """Replies with what it got, as another event."""

    def reply(got: Got) -> Answer:
        headers = {name: value for name, value in got.headers.items() if name.startswith("ce-")}
        changed = {"ce-type": type, "ce-source": source, "content-type": "application/json"}
        return Answer(200, {**headers, **changed}, data.encode() if data else got.body)

    return reply


def appended(text: str) -> Callable[[Got], Answer]:
    """Replies with what it got, and more text."""

    def reply(got: Got) -> Answer:
        headers = {name: value for name, value in got.headers.items() if name.startswith("ce-")}
        return Answer(200, {**headers, "content-type": "text/plain"}, got.body + text.encode())

    return reply


@contextmanager
def running_hub() -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = hub.answer(headers.get("host", ""), headers, body)
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = Hub(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def full_event(**changes: str | None) -> tuple[dict[str, str], bytes]:
    """The event that Knative's tests send: every attribute, extensions of every type, data in JSON."""
    headers: dict[str, str | None] = {
        "ce-specversion": "1.0",
        "ce-id": "full-event",
        "ce-type": "com.example.FullEvent",
        "ce-source": "http://example.com/source",
        "ce-subject": "topic",
        "ce-time": "2020-03-21T12:34:56.78Z",
        "ce-dataschema": "http://example.com/schema",
        "ce-exbool": "true",
        "ce-exint": "42",
        "ce-exstring": "exstring",
        "ce-exbinary": "AAECAw==",
        "ce-exurl": "http://example.com/source",
        "ce-extime": "2020-03-21T12:34:56.78Z",
        "content-type": "text/json",
    }
    headers |= {f"ce-{name}": value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}, json.dumps("hello").encode()
