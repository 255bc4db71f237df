"""Where a Broker's or a source's RabbitMQ is: `spec.config`, `rabbitmqClusterReference`, and the Secrets behind them.

Asked before every connection, so that a Secret may be changed. What Knative takes is taken: a RabbitmqBrokerConfig
with a `connectionSecret`, or with the name of a RabbitmqCluster, whose operator keeps the Secret `NAME-default-user`.
A Secret of that form, or a ConfigMap, may stand in `spec.config` itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from core.clients.rabbitmq_access import REASON, Access, access_of
from core.errors import PermanentError, TemporaryError
from core.reconcile.objects import Objects
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.sources_rabbitmq import QUEUE_TYPES, RABBITMQ_BROKER_CONFIG
from eventing.brokers.rabbitmq import Ground, RabbitmqBroker
from eventing.chronicle import Chronicle
from eventing.log.log import EventLog

RETRY_S: Final = 10.0
_KINDS: Final[Mapping[str, Kind[Any]]] = {
    "RabbitmqBrokerConfig": RABBITMQ_BROKER_CONFIG,
    "Secret": SECRET,
    "ConfigMap": CONFIG_MAP,
}


async def make_broker(
    objects: Objects, log: EventLog, chronicle: Chronicle, stream: str, broker: Json
) -> RabbitmqBroker:
    """PermanentError, TemporaryError: what `spec.config` says, or that it is not there."""
    configured = await _configured(objects, broker)
    find = partial(find_for_broker, objects, broker)
    await find()
    queue_type = configured.get("queueType") or QUEUE_TYPES[0]
    if queue_type not in QUEUE_TYPES:
        raise PermanentError(f"queueType is {queue_type!r}; {' or '.join(QUEUE_TYPES)} is allowed", "InvalidConfig")
    return RabbitmqBroker(stream, Ground(find, log, objects.clock, chronicle, queue_type))


async def find_for_broker(objects: Objects, broker: Json) -> Access:
    """PermanentError, TemporaryError."""
    configured = await _configured(objects, broker)
    if "reference" in configured:
        return await find_access(objects, configured["reference"], configured["namespace"], configured.get("vhost"))
    return _access("spec.config", configured["data"], configured.get("vhost"))


async def find_access(objects: Objects, reference: Json, namespace: str, vhost: str | None) -> Access:
    """What a `rabbitmqClusterReference` means. PermanentError, TemporaryError."""
    where = reference.get("namespace") or namespace
    cluster = reference.get("name")
    name = f"{cluster}-default-user" if cluster else (reference.get("connectionSecret") or {}).get("name") or ""
    data = await _secret(objects, ObjectKey(where, name))
    if cluster and not data.keys() & {"host", "uri"}:
        data = {**data, "host": f"{cluster}.{where}.svc"}
    return _access(f"Secret {where}/{name}", data, vhost)


async def _configured(objects: Objects, broker: Json) -> Json:
    """`reference` with `namespace`, or `data`; `vhost` and `queueType` where they are said."""
    config = broker["spec"].get("config") or {}
    kind, name = config.get("kind"), config.get("name") or ""
    key = ObjectKey(config.get("namespace") or broker["metadata"]["namespace"], name)
    if kind == "Secret":
        return {"data": await _secret(objects, key)}
    if kind == "ConfigMap":
        data = (await _existing(objects, key, "ConfigMap")).get("data") or {}
        said = {name: data[name] for name in ("vhost", "queueType") if data.get(name)}
        if secret := data.get("connectionSecret"):
            return {**said, "reference": {"connectionSecret": {"name": secret}}, "namespace": key.namespace}
        return {**said, "data": data}
    if kind != "RabbitmqBrokerConfig":
        found = f"{kind} {key}" if kind else "nothing"
        raise PermanentError(
            f"spec.config names {found}; class RabbitMQBroker needs a {' or '.join(_KINDS)} that says where it is",
            "NoConfig",
        )
    spec = (await _existing(objects, key, "RabbitmqBrokerConfig"))["spec"]
    said = {name: spec[name] for name in ("vhost", "queueType") if spec.get(name)}
    return {**said, "reference": spec.get("rabbitmqClusterReference") or {}, "namespace": key.namespace}


async def _existing(objects: Objects, key: ObjectKey, kind: str) -> Json:
    kinds: dict[str, Kind[Any]] = {
        "Secret": SECRET,
        "ConfigMap": CONFIG_MAP,
        "RabbitmqBrokerConfig": RABBITMQ_BROKER_CONFIG,
    }
    found = await objects.find(kinds[kind], key)
    if found is None:
        raise TemporaryError(f"{kind} {key} does not exist", RETRY_S)
    return found


async def _secret(objects: Objects, key: ObjectKey) -> dict[str, str]:
    secret = await _existing(objects, key, "Secret")
    try:
        return {name: base64.b64decode(text).decode() for name, text in (secret.get("data") or {}).items()}
    except (binascii.Error, UnicodeDecodeError):
        raise PermanentError(f"Secret {key}: a value is no text", REASON) from None


def _access(place: str, data: Mapping[str, str], vhost: str | None) -> Access:
    try:
        return access_of(data, vhost)
    except PermanentError as error:
        raise PermanentError(f"{place}: {error}", error.reason) from None
