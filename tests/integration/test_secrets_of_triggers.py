"""No secret of a trigger is told, of ScaledObjects or ScaledJobs: not by a real platform whose sources are closed, or
repeat whatever they are told, not by a check of documents, and not where a document is refused.

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
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import orjson
import pytest
import yaml

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
            {"dbName": "d", "collection": "c", "query": '{"a": 1}', "queryValue": "1"},
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


CONTAINER: Json = {
    "name": "app",
    "image": "dir:/",
    "command": ["sleep", "1000"],
    "env": [
        {"name": "EXTERNAL_TOKEN", "valueFrom": {"secretKeyRef": {"name": "variables", "key": "token"}}},
        {"name": "COMPOSED", "value": "http://u:$(EXTERNAL_TOKEN)@nowhere.invalid/"},
    ],
}
COLLECTIONS = {
    "Secret": f"{SPACE}/secrets",
    "Deployment": "apis/apps/v1/namespaces/default/deployments",
    "TriggerAuthentication": f"{OWN}/triggerauthentications",
    "ClusterTriggerAuthentication": f"{KEDA}/clustertriggerauthentications",
    "ScaledObject": f"{OWN}/scaledobjects",
    "ScaledJob": f"{OWN}/scaledjobs",
}
SPEAK_HTTP = ("prometheus", "metrics-api", "nats-jetstream", "aws-sqs-queue")
KINDS_OF_ALL = ("ScaledObject", "ScaledJob")


def document(kind: str, name: str, **more: Any) -> Json:
    versions = {"Secret": "v1", "Deployment": "apps/v1"}
    return {"apiVersion": versions.get(kind, "keda.sh/v1alpha1"), "kind": kind, "metadata": {"name": name}, **more}


def make_deployment(name: str) -> Json:
    labels = {"app": name}
    pods = {"runtimeClassName": "process", "containers": [CONTAINER]}
    template = {"metadata": {"labels": labels}, "spec": pods}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return document("Deployment", name, spec=spec)


def scaled(name: str, type_: str, metadata: Json, reference: Json | None) -> list[Json]:
    """A ScaledObject with a Deployment of its own, and a ScaledJob, by the same trigger."""
    trigger = {"type": type_, "metadata": metadata} | ({"authenticationRef": reference} if reference else {})
    said = {"pollingInterval": 1, "triggers": [trigger]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    pods = {"runtimeClassName": "process", "restartPolicy": "Never", "containers": [CONTAINER]}
    job = {"template": {"spec": pods}}
    return [
        make_deployment(name),
        document("ScaledObject", name, spec={"scaleTargetRef": target, **said}),
        document("ScaledJob", name, spec={"jobTargetRef": job, **said}),
    ]


def planted_documents(port: int, prefix: str, types: Collection[str] = SCALERS) -> list[Json]:
    """Each trigger with its Secret and its authentication."""
    found = []
    for name, (type_, metadata, secrets) in triggers(port).items():
        if type_ not in types:
            continue
        whole = f"{prefix}-{name}"
        references = [{"parameter": each, "name": whole, "key": each} for each in secrets]
        found.append(document("Secret", whole, stringData=dict(secrets)))
        found.append(document("TriggerAuthentication", whole, spec={"secretTargetRef": references}))
        found += scaled(whole, type_, metadata, {"name": whole})
    return found


def planted_by_other_ways(port: int) -> list[Json]:
    url = f"http://127.0.0.1:{port}"
    prometheus = {"serverAddress": url, "query": "up", "threshold": "1"}
    api = {"url": f"{url}/n", "valueLocation": "n", "targetValue": "1"}
    vault = {
        "address": url,
        "authentication": "token",
        "credential": {"token": planted("vault")},
        "secrets": [{"parameter": "bearerToken", "path": "secret/data/x", "key": "k"}],
    }
    reference = {"valueFrom": {"secretKeyRef": {"name": "client", "key": "secret"}}}
    oauth = {"type": "clientCredentials", "clientId": "me", "clientSecret": reference, "tokenUrl": f"{url}/token?x=y"}
    variables = {"hostFromEnv": "COMPOSED", "queueName": "q", "mode": "QueueLength", "value": "1"}
    cluster = {"name": "file", "kind": "ClusterTriggerAuthentication"}
    return [
        document("Secret", "variables", stringData={"token": planted("variable")}),
        document("Secret", "client", stringData={"secret": planted("oauth")}),
        document("TriggerAuthentication", "vault", spec={"hashiCorpVault": vault}),
        document("TriggerAuthentication", "oauth", spec={"oauth2": oauth}),
        document("ClusterTriggerAuthentication", "file", spec={"filePath": "auth.json"}),
        *scaled("vault", "prometheus", {**prometheus, "authModes": "bearer"}, {"name": "vault"}),
        *scaled("oauth", "metrics-api", {**api, "authMode": "oauth"}, {"name": "oauth"}),
        *scaled("file", "prometheus", {**prometheus, "authModes": "bearer"}, cluster),
        *scaled("variables", "rabbitmq", variables, None),
    ]


def plant(user: User, documents: Sequence[Json]) -> None:
    for each in documents:
        user.create(each, COLLECTIONS[each["kind"]])


def names_of(documents: Sequence[Json]) -> list[tuple[str, str]]:
    """Kind and name of all that is scaled."""
    return [(each["kind"], each["metadata"]["name"]) for each in documents if each["kind"] in KINDS_OF_ALL]


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


def shell(platform: Platform, *arguments: str) -> tuple[int, str]:
    """How it ended, and all that it said."""
    command = [sys.executable, "-m", "pilotlight", *arguments]
    done = subprocess.run(command, env=platform.environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def telling(shown: Mapping[str, str]) -> Mapping[str, str]:
    """What tells a secret."""
    needles = spellings()
    return {where: text for where, text in shown.items() if any(needle in text for needle in needles)}


def test_no_secret_is_told(platform: Platform, places: Mapping[str, int]) -> None:
    user = User(platform)
    documents = planted_by_other_ways(places["echo"])
    for where, port in places.items():
        documents += planted_documents(port, where)
    plant(user, documents)
    names = names_of(documents)

    def untold() -> list[tuple[str, str]]:
        """Those that have not said yet what is wrong with their source."""
        found = {
            (kind, each["metadata"]["name"]): each for kind in KINDS_OF_ALL for each in user.items(COLLECTIONS[kind])
        }
        return [name for name in names if condition(found[name]).get("status") not in ("False", "True", "Unknown")]

    user.until("every trigger was read", lambda: not untold(), WHOLE_TURN_S)
    shown = dict(everything(user))
    log = platform.data_dir.platform_log.read_text()
    shown |= {f"log:{number}": line for number, line in enumerate(log.splitlines())}
    for name in ("vault", "variables", "echo-basic", "parrot-redis"):
        _, explained = shell(platform, "explain", f"scaledobject/{name}")
        assert "is not known" in explained, explained
        shown[f"explain {name}"] = explained
        _, shown[f"explain {name} of jobs"] = shell(platform, "explain", f"scaledjob/{name}")
    assert len(shown) > 2 * len(names)
    assert any(where.startswith("apis/keda.sh/v1alpha1/scaledjobs/") for where in shown)
    assert any(where.startswith("apis/autoscaling/v2/horizontalpodautoscalers/") for where in shown)
    assert not telling(shown)


@pytest.mark.parametrize(
    ("where", "options"),
    [("echo", ()), ("parrot", ("--json",)), ("closed", ("--offline",))],
    ids=["read", "as JSON", "offline"],
)
def test_a_check_of_documents_tells_none(
    platform: Platform, places: Mapping[str, int], tmp_path: Path, where: str, options: tuple[str, ...]
) -> None:
    """Triggers that do not speak HTTP are not asked of the echo: each would wait for all of its time."""
    documents = planted_by_other_ways(places["echo"])
    documents += planted_documents(places[where], where, SPEAK_HTTP if where == "echo" else SCALERS)
    file = tmp_path / "documents.yaml"
    file.write_text(yaml.safe_dump_all(documents, allow_unicode=True))
    _, told = shell(platform, "scaler", "check", str(file), *options)
    for kind, name in names_of(documents):
        assert name in told, f"{kind} {name} is not told of: {told}"
    assert not telling({"check": told})


BROKEN: Mapping[str, str] = {
    "no base64": json.dumps(document("Secret", "a", data={"password": planted("base64")})),
    "no text": json.dumps(document("Secret", "a", stringData={"password": [planted("list")]})),
    "a field that is not there": json.dumps(document("Secret", "a", passwords={"password": planted("field")})),
    "a token in the wrong place": json.dumps(
        document("TriggerAuthentication", "a", spec={"hashiCorpVault": {"credential": planted("credential")}})
    ),
    "a token that is none": json.dumps(
        document("TriggerAuthentication", "a", spec={"hashiCorpVault": {"credential": {"token": [planted("token")]}}})
    ),
    "no YAML": f"kind: Secret\nstringData:\n  password: {PLANTED}\n broken",
    "YAML that ends early": f'kind: Secret\nstringData:\n  password: "{PLANTED}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_documents_that_are_broken_are_not_repeated(platform: Platform, tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    code, told = shell(platform, "scaler", "check", str(file))
    assert code != 0
    assert not telling({"check": told})
    user = User(platform)
    for kind in ("Secret", "TriggerAuthentication"):
        if f'"kind": "{kind}"' in text:
            reply = user.ask("POST", f"{COLLECTIONS[kind]}?fieldValidation=Strict", json.loads(text))
            assert reply.status in (400, 422), reply.text
            assert not telling({"refusal": reply.text})


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
        user.create(document("Secret", "orders", stringData={"token": "first"}), f"{SPACE}/secrets")
        reference = {"secretTargetRef": [{"parameter": "token", "name": "orders", "key": "token"}]}
        user.create({"metadata": {"name": "orders"}, "spec": reference}, f"{OWN}/triggerauthentications")
        metadata = {"url": f"http://127.0.0.1:{port}/", "valueLocation": "orders", "targetValue": "1"}
        deployment, scaled_object, _ = scaled(
            "orders", "metrics-api", {**metadata, "authMode": "bearer"}, {"name": "orders"}
        )
        plant(user, [deployment, scaled_object])

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
