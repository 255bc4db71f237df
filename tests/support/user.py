"""What a user does to a platform, without any code of the platform: its API over HTTPS, its gateway over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.platform import Platform
from tests.support.servers import compiled_server

Json = dict[str, Any]
DEADLINE_S = 20.0
SERVING = "apis/serving.knative.dev/v1/namespaces/default"
VERSATILE = (sys.executable, "-S", str(Path(__file__).with_name("versatile.py")))


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Json:
        return dict(json.loads(self.body))


class User:
    """`call` goes to the gateway, everything else to the API. One of its own per thread."""

    def __init__(self, platform: Platform) -> None:
        config = yaml.safe_load(Path(platform.running.kubeconfig).read_text())
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._token = config["users"][0]["user"]["token"]
        self._tls = ssl.create_default_context(cadata=authority)
        self._api = urllib.parse.urlsplit(platform.running.api)
        self.port = int(platform.running.gateway.rpartition(":")[2])

    # --- the API

    def ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Reply:
        """`path` below the root, without a leading slash. A `body` that is bytes is sent as it is."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPSConnection(
            self._api.hostname or "", self._api.port, context=self._tls, timeout=DEADLINE_S
        )
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
            connection.request(method, f"/{path}", data, headers)
            return _reply(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str) -> Json:
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.text
        return reply.json

    def items(self, path: str) -> list[Json]:
        return list(self.get(path)["items"])

    def create(self, obj: Json, collection: str = f"{SERVING}/services") -> Json:
        reply = self.ask("POST", collection, obj)
        assert reply.status == 201, reply.text
        return reply.json

    def patch(self, path: str, change: Json) -> Json:
        reply = self.ask("PATCH", path, change, "application/merge-patch+json")
        assert reply.status == 200, reply.text
        return reply.json

    def delete(self, *services: str) -> None:
        for name in services:
            reply = self.ask("DELETE", f"{SERVING}/services/{name}")
            assert reply.status in (200, 202), reply.text

    def service(self, name: str) -> Json:
        return self.get(f"{SERVING}/services/{name}")

    def deploy(self, service: Json) -> str:
        """Creates it and waits until it is ready; its name."""
        name = str(self.create(service)["metadata"]["name"])
        self.until_ready(name)
        return name

    def revision(self, name: str) -> Json:
        return self.get(f"{SERVING}/revisions/{name}")

    def pods(self, service: str = "") -> list[Json]:
        selector = f"?labelSelector=serving.knative.dev/service%3D{service}" if service else ""
        return self.items(f"api/v1/namespaces/default/pods{selector}")

    def watch(self, collection: str, timeout_s: float = DEADLINE_S) -> Iterator[Json]:
        """Events from now on; TimeoutError where none comes for so long."""
        version = self.get(collection)["metadata"]["resourceVersion"]
        connection = http.client.HTTPSConnection(
            self._api.hostname or "", self._api.port, context=self._tls, timeout=timeout_s
        )
        try:
            path = f"/{collection}?watch=1&resourceVersion={version}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            while line := response.readline():
                yield json.loads(line)
        finally:
            connection.close()

    # --- waiting

    def until(self, what: str, holds: Callable[[], Any], timeout_s: float = DEADLINE_S) -> Any:
        """What `holds` returned when that was true."""
        deadline = time.monotonic() + timeout_s
        while not (found := holds()):
            assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
            time.sleep(0.02)
        return found

    def until_ready(self, name: str, timeout_s: float = DEADLINE_S) -> Json:
        return dict(self.until(f"{name} is ready", lambda: self._settled(name, "True"), timeout_s))

    def until_failed(self, name: str, timeout_s: float = DEADLINE_S) -> Json:
        """The service whose Ready has turned False."""
        return dict(self.until(f"{name} has failed", lambda: self._settled(name, "False"), timeout_s))

    def until_asleep(self, name: str, timeout_s: float = 30.0) -> None:
        self.until(f"{name} sleeps", lambda: not self.pods(name), timeout_s)

    def until_running(self, name: str, count: int, timeout_s: float = DEADLINE_S) -> list[Json]:
        """So many Pods, all of them ready."""

        def all_ready() -> list[Json]:
            pods = self.pods(name)
            return pods if len(pods) == count and all(condition(pod).get("status") == "True" for pod in pods) else []

        return list(self.until(f"{count} instances of {name}", all_ready, timeout_s))

    def _settled(self, name: str, status: str) -> Json | None:
        service = self.service(name)
        ready = condition(service)
        observed = (service.get("status") or {}).get("observedGeneration") == service["metadata"]["generation"]
        return service if observed and ready.get("status") == status else None

    # --- the gateway

    def call(
        self,
        service: str,
        path: str = "/",
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Reply:
        """`service`: its name, or a whole host. OSError or http.client.HTTPException where no whole answer comes."""
        host = service if "." in service else f"{service}.default.localhost"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, {"Host": host, **(headers or {})})
            return _reply(connection.getresponse())
        finally:
            connection.close()


def _reply(response: http.client.HTTPResponse) -> Reply:
    body = response.read()
    return Reply(response.status, body, {name.lower(): value for name, value in response.getheaders()})


def condition(obj: Json, kind: str = "Ready") -> Json:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def make_service(
    name: str,
    command: tuple[str, ...] = VERSATILE,
    *,
    annotations: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    **spec: Any,
) -> Json:
    """A Service of runtime class process. `annotations` without a group are `autoscaling.knative.dev/`'s."""
    marks = {
        key if "/" in key else f"autoscaling.knative.dev/{key}": value for key, value in (annotations or {}).items()
    }
    container: Json = {"image": "test", "command": list(command)}
    if env:
        container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    template = {
        "metadata": {"annotations": marks},
        "spec": {"runtimeClassName": "process", "containers": [container], **spec},
    }
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": template},
    }


def make_function(name: str, folder: Path, annotations: Mapping[str, str] | None = None, **spec: Any) -> Json:
    """A Service of runtime class python."""
    service = make_service(name, annotations=annotations, **spec)
    inner = service["spec"]["template"]["spec"]
    inner["runtimeClassName"] = "python"
    inner["containers"] = [{"image": f"dir:{folder}"}]
    return service


def quick_server() -> tuple[str, ...]:
    """The command of a server that starts in a millisecond."""
    return (str(compiled_server()),)


QUICK_SLEEP = {"window": "6s"}
"""The shortest window there is."""


def hurry(user: User) -> None:
    """From now on the last instance goes as soon as its window is silent: config-autoscaler, edited live."""
    path = "api/v1/namespaces/knative-serving/configmaps/config-autoscaler"
    user.patch(path, {"data": {"scale-to-zero-grace-period": "1s"}})
