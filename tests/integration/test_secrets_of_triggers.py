"""No secret of a trigger is told: by a real platform whose sources are closed, or repeat whatever they are told.

Every sort of scaler that takes a secret is given one, by a Secret, a variable of the target's container, a file, Vault
or OAuth. Then everything that the platform shows is searched for them, however they may be spelled.
"""

from __future__ import annotations

import base64
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
import pytest

from scalers.registry import SCALERS
from tests.support.functions import free_port
from tests.support.platform import Platform, running_platform
from tests.support.user import User, condition

Json = dict[str, Any]
SPACE = "api/v1/namespaces/default"
KEDA = "apis/keda.sh/v1alpha1"
OWN = f"{KEDA}/namespaces/default"
PLANTED = "s3cr3t-of-a-trigger"
"""Each secret begins with it and has something in it that URLs, forms and JSON spell otherwise."""
WHOLE_TURN_S = 30.0


def planted(name: str) -> str:
    return f"{PLANTED}-{name}/7&+ ä"


class Echo(BaseHTTPRequestHandler):
    """Refuses everything, in words that repeat all that it was told."""

    protocol_version = "HTTP/1.1"

    def _repeat(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        told = f"{self.path} {self.headers} {body}"
        said = json.dumps({"status": "error", "errorType": "bad", "error": told, "errors": [told], "reason": told})
        answer = said.encode()
        self.send_response(418 if "query" in self.path else 500, "no")
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Told", quote(told)[:2000])
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _repeat  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Parrot(socketserver.BaseRequestHandler):
    """Sends back every byte."""

    def handle(self) -> None:
        self.request.settimeout(1.0)
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except OSError:
            return


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def places() -> Iterator[Mapping[str, int]]:
    """Ports: of one that repeats HTTP, one that repeats bytes, one that is closed."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    parrot = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Parrot)
    parrot.daemon_threads = True
    with served(http) as echo, served(parrot) as bytes_:
        yield {"echo": echo, "parrot": bytes_, "closed": free_port()}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    files = tmp_path_factory.mktemp("files")
    (files / "auth.json").write_bytes(orjson.dumps({"bearerToken": planted("file")}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PILOTLIGHT_AUTH_FILES", str(files))
        with running_platform(tmp_path_factory.mktemp("platform")) as platform:
            yield platform


def triggers(port: int) -> Mapping[str, tuple[str, Json, Mapping[str, str]]]:
    """Name → type, metadata, and its secrets by parameter; what metadata itself says is no secret."""
    at, url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    user = quote(planted("url"), safe="")
    asked = {"query": "select 1", "targetQueryValue": "1", "queryValue": "1"}
    prometheus = {"serverAddress": url, "query": "up", "threshold": "1"}
    api = {"url": f"{url}/n", "valueLocation": "n", "targetValue": "1"}
    kafka = {"bootstrapServers": at, "consumerGroup": "g", "topic": "t"}
    queue = {"queueName": "q", "mode": "QueueLength", "value": "1"}
    sqs = {"queueURL": "https://sqs.eu-west-1.amazonaws.com/1/q", "awsRegion": "eu-west-1", "awsEndpoint": url}
    return {
        "bearer": ("prometheus", {**prometheus, "authModes": "bearer"}, {"bearerToken": planted("bearer")}),
        "basic": ("prometheus", {**prometheus, "authModes": "basic"}, {"username": "u", "password": planted("basic")}),
        "custom": (
            "prometheus",
            {**prometheus, "authModes": "custom"},
            {"customAuthHeader": "X-A", "customAuthValue": planted("custom")},
        ),
        "key-in-query": ("metrics-api", {**api, "authMode": "apiKey", "method": "query"}, {"apiKey": planted("key")}),
        "key-in-header": ("metrics-api", {**api, "authMode": "apiKey"}, {"apiKey": planted("key2")}),
        "wrong-word": ("metrics-api", api, {"authMode": planted("word")}),
        "wrong-certificate": ("metrics-api", {**api, "authMode": "tls"}, {"cert": "x", "key": planted("pem")}),
        "no-address": (
            "nats-jetstream",
            {"stream": "s", "consumer": "c"},
            {"account": "a", "natsServerMonitoringEndpoint": planted("at")},
        ),
        "kafka-plain": (
            "kafka",
            kafka,
            {"sasl": "plaintext", "username": "u", "password": planted("kafka"), "tls": "disable"},
        ),
        "kafka-scram": ("kafka", kafka, {"sasl": "scram_sha512", "username": "u", "password": planted("scram")}),
        "kafka-token": (
            "kafka",
            kafka,
            {
                "sasl": "oauthbearer",
                "username": "u",
                "password": planted("token"),
                "oauthTokenEndpointUri": f"{url}/token",
            },
        ),
        "amqp": ("rabbitmq", queue, {"host": f"amqp://u:{user}@{at}/v"}),
        "amqp-pair": (
            "rabbitmq",
            {**queue, "protocol": "amqp"},
            {"host": f"amqp://{at}/", "username": "u", "password": planted("amqp")},
        ),
        "management": ("rabbitmq", {**queue, "protocol": "http"}, {"host": f"http://u:{user}@{at}/"}),
        "redis": ("redis", {"address": at, "listName": "l"}, {"password": planted("redis")}),
        "sentinel": (
            "redis-sentinel",
            {"addresses": at, "listName": "l", "sentinelMaster": "m"},
            {"password": planted("redis2"), "sentinelPassword": planted("redis3")},
        ),
        "libpq": (
            "postgresql",
            asked,
            {"connection": f"host=127.0.0.1 port={port} user=u password='{planted('libpq')}' dbname=d sslmode=disable"},
        ),
        "libpq-url": ("postgresql", asked, {"connection": f"postgresql://u:{user}@{at}/d?sslmode=disable"}),
        "libpq-broken": ("postgresql", asked, {"connection": f"host=127.0.0.1 {planted('broken')}"}),
        "mysql": ("mysql", asked, {"connectionString": f"u:{planted('mysql').replace('/', '')}@tcp({at})/d"}),
        "mongodb": (
            "mongodb",
            {"dbName": "d", "collection": "c", "query": "{}", "queryValue": "1"},
            {"connectionString": f"mongodb://u:{user}@{at}/?serverSelectionTimeoutMS=500"},
        ),
        "sqs": (
            "aws-sqs-queue",
            sqs,
            {"awsAccessKeyID": "AKIA", "awsSecretAccessKey": planted("aws"), "awsSessionToken": planted("aws2")},
        ),
        "external": (
            "external",
            {"scalerAddress": at, "tokenFromEnv": "EXTERNAL_TOKEN"},
            {"caCert": ""},
        ),
        "external-tls": (
            "external",
            {"scalerAddress": at, "enableTLS": "true"},
            {"tlsClientCert": planted("grpc"), "tlsClientKey": planted("grpc2")},
        ),
    }


def make_deployment() -> Json:
    variable = {"name": "EXTERNAL_TOKEN", "valueFrom": {"secretKeyRef": {"name": "variables", "key": "token"}}}
    composed = {"name": "COMPOSED", "value": "http://u:$(EXTERNAL_TOKEN)@nowhere.invalid/"}
    container = {"name": "app", "image": "dir:/", "command": ["sleep", "1000"], "env": [variable, composed]}
    return {
        "metadata": {"name": "idle"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "idle"}},
            "template": {
                "metadata": {"labels": {"app": "idle"}},
                "spec": {"runtimeClassName": "process", "containers": [container]},
            },
        },
    }


def make_secret(name: str, data: Mapping[str, str]) -> Json:
    return {"metadata": {"name": name}, "stringData": dict(data)}


def scaled(name: str, type_: str, metadata: Json, reference: Json | None) -> Json:
    trigger = {"type": type_, "metadata": metadata} | ({"authenticationRef": reference} if reference else {})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {"metadata": {"name": name}, "spec": {"scaleTargetRef": target, "pollingInterval": 1, "triggers": [trigger]}}


def plant(user: User, port: int, prefix: str) -> list[str]:
    """Names of the ScaledObjects that were made, each with a Deployment of its own."""
    names = []
    for name, (type_, metadata, secrets) in triggers(port).items():
        if type_ not in SCALERS:
            continue
        whole = f"{prefix}-{name}"
        user.create(make_secret(whole, secrets), f"{SPACE}/secrets")
        references = [{"parameter": each, "name": whole, "key": each} for each in secrets]
        user.create(
            {"metadata": {"name": whole}, "spec": {"secretTargetRef": references}}, f"{OWN}/triggerauthentications"
        )
        names.append(scale(user, whole, type_, metadata, {"name": whole}))
    return names


def scale(user: User, name: str, type_: str, metadata: Json, reference: Json | None) -> str:
    deployment = make_deployment()
    deployment["metadata"]["name"] = name
    user.create(deployment, "apis/apps/v1/namespaces/default/deployments")
    user.create(scaled(name, type_, metadata, reference), f"{OWN}/scaledobjects")
    return name


def plant_by_other_ways(user: User, port: int) -> list[str]:
    url = f"http://127.0.0.1:{port}"
    prometheus = {"serverAddress": url, "query": "up", "threshold": "1"}
    api = {"url": f"{url}/n", "valueLocation": "n", "targetValue": "1"}
    vault = {
        "address": url,
        "authentication": "token",
        "credential": {"token": planted("vault")},
        "secrets": [{"parameter": "bearerToken", "path": "secret/data/x", "key": "k"}],
    }
    user.create(make_secret("client", {"secret": planted("oauth")}), f"{SPACE}/secrets")
    reference = {"valueFrom": {"secretKeyRef": {"name": "client", "key": "secret"}}}
    oauth = {"type": "clientCredentials", "clientId": "me", "clientSecret": reference, "tokenUrl": f"{url}/token?x=y"}
    for name, spec in (("vault", {"hashiCorpVault": vault}), ("oauth", {"oauth2": oauth})):
        user.create({"metadata": {"name": name}, "spec": spec}, f"{OWN}/triggerauthentications")
    user.create(
        {"metadata": {"name": "file"}, "spec": {"filePath": "auth.json"}}, f"{KEDA}/clustertriggerauthentications"
    )
    variables = {"hostFromEnv": "COMPOSED", "queueName": "q", "mode": "QueueLength", "value": "1"}
    cluster = {"name": "file", "kind": "ClusterTriggerAuthentication"}
    return [
        scale(user, "vault", "prometheus", {**prometheus, "authModes": "bearer"}, {"name": "vault"}),
        scale(user, "oauth", "metrics-api", {**api, "authMode": "oauth"}, {"name": "oauth"}),
        scale(user, "file", "prometheus", {**prometheus, "authModes": "bearer"}, cluster),
        scale(user, "variables", "rabbitmq", variables, None),
    ]


def spellings() -> set[str]:
    """Of what all secrets begin with: as it is, and what base64 makes of it wherever it begins."""
    found = {PLANTED}
    for before in range(3):
        text = base64.b64encode(b"x" * before + PLANTED.encode()).decode()
        found.add(text[-(-before * 8 // 6) : (before + len(PLANTED)) * 8 // 6])
    return found


@pytest.mark.parametrize(
    "told",
    [
        planted("x"),
        quote(planted("x"), safe=""),
        quote_plus(planted("x")),
        json.dumps(planted("x")),
        *(base64.b64encode(f"{user}:{planted('x')}".encode()).decode() for user in ("u", "me", "you")),
    ],
)
def test_secrets_are_found_however_they_are_spelled(told: str) -> None:
    assert any(each in told for each in spellings())


def everything(user: User) -> Iterator[tuple[str, str]]:
    """All that the API shows, but for what the secrets were written into."""
    groups = [f"apis/{each['preferredVersion']['groupVersion']}" for each in user.get("apis")["groups"]]
    for group in ["api/v1", *groups]:
        for resource in user.get(group)["resources"]:
            name = resource["name"]
            if "/" in name or "list" not in resource["verbs"] or name == "secrets":
                continue
            for item in user.items(f"{group}/{name}"):
                if name.endswith("triggerauthentications"):
                    item.pop("spec")
                yield f"{group}/{name}/{item['metadata']['name']}", json.dumps(item, ensure_ascii=False)
    yield "metrics", user.ask("GET", "metrics").text


def test_no_secret_is_told(platform: Platform, places: Mapping[str, int]) -> None:
    user = User(platform)
    user.create(make_secret("variables", {"token": planted("variable")}), f"{SPACE}/secrets")
    names = plant_by_other_ways(user, places["echo"])
    for where, port in places.items():
        names += plant(user, port, where)

    def untold() -> list[str]:
        """Those that have not said yet what is wrong with their source."""
        found = {each["metadata"]["name"]: each for each in user.items(f"{OWN}/scaledobjects")}
        return [name for name in names if condition(found[name]).get("status") not in ("False", "True", "Unknown")]

    user.until("every trigger was read", lambda: not untold(), WHOLE_TURN_S)
    shown = dict(everything(user))
    log = platform.data_dir.platform_log.read_text()
    shown |= {f"log:{number}": line for number, line in enumerate(log.splitlines())}
    for name in ("vault", "variables", "echo-basic", "parrot-redis"):
        command = [sys.executable, "-m", "pilotlight", "explain", f"scaledobject/{name}"]
        explained = subprocess.run(command, env=platform.environment, capture_output=True, text=True, check=True)
        assert "is not known" in explained.stdout, explained.stdout
        shown[f"explain {name}"] = explained.stdout + explained.stderr
    assert len(shown) > 2 * len(names)
    needles = spellings()
    told = {where: text for where, text in shown.items() if any(needle in text for needle in needles)}
    assert not told


class Guarded(BaseHTTPRequestHandler):
    """Three orders wait, for whoever has the token."""

    protocol_version = "HTTP/1.1"
    token = "first"

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {self.token}"
        answer = b'{"orders": 3}' if known else b"{}"
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_secret_that_is_changed_is_used_at_once(platform: Platform) -> None:
    user = User(platform)
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Guarded)) as port:
        user.create(make_secret("orders", {"token": "first"}), f"{SPACE}/secrets")
        reference = {"secretTargetRef": [{"parameter": "token", "name": "orders", "key": "token"}]}
        user.create({"metadata": {"name": "orders"}, "spec": reference}, f"{OWN}/triggerauthentications")
        metadata = {"url": f"http://127.0.0.1:{port}/", "valueLocation": "orders", "targetValue": "1"}
        scale(user, "orders", "metrics-api", {**metadata, "authMode": "bearer"}, {"name": "orders"})

        def ready(status: str) -> bool:
            return condition(user.get(f"{OWN}/scaledobjects/orders")).get("status") == status

        def replicas() -> int:
            return int(user.get("apis/apps/v1/namespaces/default/deployments/orders")["spec"]["replicas"])

        user.until("three replicas", lambda: replicas() == 3 and ready("True"), WHOLE_TURN_S)
        Guarded.token = "second"
        user.until("it is refused", lambda: ready("False"), WHOLE_TURN_S)
        assert replicas() == 3  # not known is not zero
        user.patch(f"{SPACE}/secrets/orders", {"stringData": {"token": "second"}})
        user.until("it is let in again", lambda: ready("True"), WHOLE_TURN_S)

        def users() -> Json | None:
            return user.get(f"{OWN}/triggerauthentications/orders").get("status")

        user.until("it names its user", lambda: users() == {"scaledobjects": "orders"})
