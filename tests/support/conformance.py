"""What a feature of Knative Eventing's conformance tests works with: objects in a namespace, senders, named receivers.

Objects are made through the API, as a Go client makes them; kubectl waits and patches.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.eventshub import Got, Hub, Json, Receiver, full_event, running_hub
from tests.support.kubectl import Kubectl
from tests.support.platform import Platform
from tests.support.user import User, condition

NAMESPACE = "conformance"
EVENTING, MESSAGING, FLOWS = (f"{group}.knative.dev/v1" for group in ("eventing", "messaging", "flows"))
PING, SINKS = "sources.knative.dev/v1", "sinks.knative.dev/v1alpha1"
GROUPS = {
    **dict.fromkeys(("Broker", "Trigger"), EVENTING),
    **dict.fromkeys(("Channel", "InMemoryChannel", "Subscription"), MESSAGING),
    **dict.fromkeys(("Sequence", "Parallel"), FLOWS),
    "PingSource": PING,
    "JobSink": SINKS,
    "EventType": "eventing.knative.dev/v1beta3",
}


@dataclass
class Kit:
    """What each feature works with. Names are made up per feature, as there."""

    user: User
    kubectl: Kubectl
    hub: Hub
    inside: str
    made: int = 0

    def name(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}-{self.made}"

    def receiver(self, prefix: str = "sink", **options: Any) -> tuple[str, Receiver]:
        """A receiver and its Service."""
        name = self.name(prefix)
        service, endpoints = self.hub.service(name, NAMESPACE)
        self.user.create(service, f"api/v1/namespaces/{NAMESPACE}/services")
        self.user.create(endpoints, f"apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices")
        return name, self.hub.add(name, Receiver(**options))

    def install(self, api: str, kind: str, name: str, spec: Json | None, **metadata: Any) -> str:
        document = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, **metadata}}
        self.user.create(document | ({"spec": spec} if spec is not None else {}), collection(kind))
        return name

    def ready(self, kind: str, name: str, status: str = "True") -> None:
        """As the tests wait, and `kubectl wait` does."""
        self.user.until(f"{kind} {name} is ready", lambda: condition(self.get(kind, name)).get("status") == status)

    def get(self, kind: str, name: str) -> Json:
        return self.user.get(f"{collection(kind)}/{name}")

    def patch(self, kind: str, name: str, change: Json) -> None:
        self.kubectl("patch", kind, name, "-n", NAMESPACE, "--type=merge", "-p", json.dumps(change))

    def broker(self, delivery: Json | None = None) -> str:
        name = self.name("broker")
        classed = {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"}
        self.install(EVENTING, "Broker", name, {"delivery": delivery}, annotations=classed)
        self.ready("Broker", name)
        return name

    def trigger(self, broker: str, subscriber: Json, **spec: Any) -> str:
        name = self.name("trigger")
        self.install(EVENTING, "Trigger", name, {"broker": broker, "subscriber": subscriber, **spec})
        self.ready("Trigger", name)
        return name

    def channel(self, delivery: Json | None = None, kind: str = "InMemoryChannel") -> str:
        name = self.install(MESSAGING, kind, self.name("channel"), {"delivery": delivery} if delivery else None)
        self.ready(kind, name)
        return name

    def subscription(self, channel: str, kind: str = "InMemoryChannel", **spec: Any) -> str:
        reference = {"apiVersion": MESSAGING, "kind": kind, "name": channel}
        name = self.install(MESSAGING, "Subscription", self.name("sub"), {"channel": reference, **spec})
        self.ready("Subscription", name)
        return name

    def send(self, kind: str, name: str, headers: Mapping[str, str], body: bytes, method: str = "POST") -> int:
        """To the address that the object's status says, as from inside; the status of the answer."""
        url = urllib.parse.urlsplit(self.get(kind, name)["status"]["address"]["url"])
        gateway = urllib.parse.urlsplit(self.inside)
        connection = http.client.HTTPConnection(gateway.hostname or "", gateway.port, timeout=20)
        try:
            connection.request(method, url.path or "/", body, {"Host": url.netloc, **headers})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def event(self, kind: str, name: str, body: bytes | None = None, **attributes: str | None) -> None:
        headers, usual = full_event(**attributes)
        assert self.send(kind, name, headers, usual if body is None else body) == 202

    @staticmethod
    def until(receiver: Receiver, count: int, timeout_s: float = 20.0) -> list[Got]:
        deadline = time.monotonic() + timeout_s
        while len(receiver.got) < count:
            assert time.monotonic() < deadline, receiver.got
            time.sleep(0.01)
        return receiver.got

    @staticmethod
    def service(name: str) -> Json:
        return {"ref": {"apiVersion": "v1", "kind": "Service", "namespace": NAMESPACE, "name": name}}


@contextmanager
def conforming(platform: Platform, user: User) -> Iterator[Kit]:
    kubectl = Kubectl(platform)
    kubectl("create", "namespace", NAMESPACE)
    with running_hub() as hub:
        yield Kit(user, kubectl, hub, platform.running.inside)


def collection(kind: str) -> str:
    return f"apis/{GROUPS[kind]}/namespaces/{NAMESPACE}/{kind.lower()}s"


def address(name: str) -> str:
    return f"http://{name}.{NAMESPACE}.svc.cluster.local"
