"""Where Kafka is and who may in: from the ConfigMap of a Broker, the `net` of a source, the Secrets behind both.

(knative-extensions/eventing-kafka-broker: control-plane/pkg/{config,security,kafka}.) PermanentError says what is wrong
with what is there, TemporaryError what is not there yet.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.clients.kafka_access import MECHANISMS, Access
from core.errors import PermanentError, TemporaryError
from core.reconcile.objects import Objects
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.eventing_labels import KAFKA_EXTERNAL_TOPIC_ANNOTATION
from core.resources.meta import Json, ObjectKey
from eventing.kafka.layout import Layout, topic_of

BOOTSTRAP: Final = "bootstrap.servers"
PARTITIONS: Final = "default.topic.partitions"
REPLICATION: Final = "default.topic.replication.factor"
TOPIC_PREFIX: Final = "default.topic.config."
SECRET_NAME: Final = "auth.secret.ref.name"
PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
RETRY_S: Final = 10.0
INVALID: Final = "InvalidConfig"


async def find_layout(objects: Objects, broker: Json) -> Layout:
    """What `spec.config` says."""
    metadata, config = broker["metadata"], broker["spec"].get("config") or {}
    if config.get("kind") != "ConfigMap":
        found = f"a {config['kind']}" if config.get("kind") else "nothing"
        raise PermanentError(f"spec.config names {found}; class Kafka needs a ConfigMap with {BOOTSTRAP}", "NoConfig")
    key = ObjectKey(config.get("namespace") or metadata["namespace"], config.get("name") or "")
    config_map = await objects.find(CONFIG_MAP, key)
    if config_map is None:
        raise TemporaryError(f"ConfigMap {key} does not exist", RETRY_S)
    data: Mapping[str, str] = config_map.get("data") or {}
    where = f"ConfigMap {key}"
    servers = servers_of([data.get(BOOTSTRAP, "")], f"{where}: {BOOTSTRAP}")
    external = (metadata.get("annotations") or {}).get(KAFKA_EXTERNAL_TOPIC_ANNOTATION)
    return Layout(
        access=await _access_by_secret(objects, servers, data.get(SECRET_NAME), key.namespace),
        topic=external or topic_of(metadata["namespace"], metadata["name"]),
        partitions=_count(data, PARTITIONS, 10, where),
        replication=_count(data, REPLICATION, 3, where),
        own_topic=not external,
        configuration={
            name.removeprefix(TOPIC_PREFIX): value for name, value in data.items() if name.startswith(TOPIC_PREFIX)
        },
    )


async def access_of_sink(objects: Objects, sink: Json) -> Access:
    """What `spec.bootstrapServers` and `spec.auth` of a KafkaSink say."""
    spec, namespace = sink["spec"], sink["metadata"]["namespace"]
    servers = servers_of(spec.get("bootstrapServers") or (), "spec.bootstrapServers")
    auth = spec.get("auth") or {}
    if auth.get("net"):
        return await access_of_net(objects, servers, auth["net"], namespace)
    name = ((auth.get("secret") or {}).get("ref") or {}).get("name")
    return await _access_by_secret(objects, servers, name, namespace)


async def access_of_net(objects: Objects, servers: tuple[str, ...], net: Json | None, namespace: str) -> Access:
    """What a `net` says: each value from a key of a Secret."""
    sasl, tls = (net or {}).get("sasl") or {}, (net or {}).get("tls") or {}

    async def value(part: Json, field: str) -> str:
        selector = (part.get(field) or {}).get("secretKeyRef")
        if selector is None:
            return ""
        key = ObjectKey(namespace, selector.get("name") or "")
        found = (await _secret(objects, key)).get(selector.get("key") or "")
        if found is None:
            raise TemporaryError(f"Secret {key} has no key {selector.get('key')!r}", RETRY_S)
        return found

    by_user, over_tls = bool(sasl.get("enable")), bool(tls.get("enable"))
    mechanism = (await value(sasl, "type") or MECHANISMS[0]) if by_user else None
    return Access(
        servers,
        mechanism=_mechanism(mechanism, "net.sasl.type"),
        user=await value(sasl, "user") if by_user else "",
        password=await value(sasl, "password") if by_user else "",
        tls=over_tls,
        ca=await value(tls, "caCert") or None if over_tls else None,
        certificate=await value(tls, "cert") or None if over_tls else None,
        key=await value(tls, "key") or None if over_tls else None,
    )


def secrets_of_sink(sink: Json) -> Sequence[ObjectKey]:
    """Those that its `auth` takes values from."""
    auth, namespace = sink["spec"].get("auth") or {}, sink["metadata"]["namespace"]
    name = ((auth.get("secret") or {}).get("ref") or {}).get("name")
    named = [ObjectKey(namespace, name)] if name else []
    return [*named, *secrets_of_net(auth.get("net"), namespace)]


def secrets_of_net(net: Json | None, namespace: str) -> Sequence[ObjectKey]:
    """Those that it takes values from."""
    parts = [part for name in ("sasl", "tls") for part in ((net or {}).get(name) or {}).values()]
    selectors = [(part.get("secretKeyRef") or {}) for part in parts if isinstance(part, dict)]
    return [ObjectKey(namespace, name) for name in sorted({each["name"] for each in selectors if each.get("name")})]


def servers_of(texts: Any, where: str) -> tuple[str, ...]:
    """`host:port` each, commas between them."""
    servers = tuple(part.strip() for text in texts for part in str(text).split(",") if part.strip())
    if not servers:
        raise PermanentError(f"{where} names no server, such as kafka.example:9092", INVALID)
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise PermanentError(f"{where} has {server!r}; host:port is allowed, such as kafka.example:9092", INVALID)
    return servers


def access_of_secret(servers: tuple[str, ...], data: Mapping[str, str], where: str) -> Access:
    """What a Secret in Knative's form says: protocol, sasl.mechanism, user, password, ca.crt, user.crt, user.key."""
    protocol = data.get("protocol", "")
    if protocol not in PROTOCOLS:
        raise PermanentError(f"{where}: protocol is {protocol!r}; one of {', '.join(PROTOCOLS)} is allowed", INVALID)
    by_user, over_tls = protocol.startswith("SASL"), protocol.endswith("SSL")
    missing = [name for name in ("sasl.mechanism", "user", "password") if by_user and not data.get(name)]
    if missing:
        raise PermanentError(f"{where}: protocol {protocol} needs {', '.join(missing)}", INVALID)
    with_certificate = over_tls and data.get("user.skip", "false") != "true"
    return Access(
        servers,
        mechanism=_mechanism(data["sasl.mechanism"], where) if by_user else None,
        user=data["user"] if by_user else "",
        password=data["password"] if by_user else "",
        tls=over_tls,
        ca=data.get("ca.crt") or None if over_tls else None,
        certificate=data.get("user.crt") or None if with_certificate else None,
        key=data.get("user.key") or None if with_certificate else None,
    )


async def _access_by_secret(objects: Objects, servers: tuple[str, ...], name: str | None, namespace: str) -> Access:
    if not name:
        return Access(servers)
    key = ObjectKey(namespace, name)
    return access_of_secret(servers, await _secret(objects, key), f"Secret {key}")


async def _secret(objects: Objects, key: ObjectKey) -> Mapping[str, str]:
    secret = await objects.find(SECRET, key)
    if secret is None:
        raise TemporaryError(f"Secret {key} does not exist", RETRY_S)
    try:
        return {name: base64.b64decode(text).decode() for name, text in (secret.get("data") or {}).items()}
    except (binascii.Error, UnicodeDecodeError):
        raise PermanentError(f"Secret {key}: a value is no text", INVALID) from None


def _mechanism(mechanism: str | None, where: str) -> str | None:
    if mechanism is not None and mechanism not in MECHANISMS:
        raise PermanentError(f"{where}: {mechanism!r} is no mechanism here; {', '.join(MECHANISMS)} are", INVALID)
    return mechanism


def _count(data: Mapping[str, str], name: str, default: int, where: str) -> int:
    text = data.get(name, str(default)).strip()
    if not text.isdigit() or not 0 < int(text) < 32768:
        raise PermanentError(f"{where}: {name} is {text!r}; a number from 1 is allowed", INVALID)
    return int(text)
