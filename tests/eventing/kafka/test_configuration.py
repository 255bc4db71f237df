"""Where Kafka is and who may in, as documents and Secrets say it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from core.clients.kafka_access import Access
from core.clock import SystemClock
from core.errors import PermanentError, TemporaryError
from core.reconcile.objects import Objects
from core.resources.core_v1 import CONFIG_MAP, SECRET
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.store.memory import MemoryStore
from eventing.kafka.configuration import access_of_net, access_of_secret, access_of_sink, find_layout, servers_of
from eventing.kafka.layout import Layout

SERVERS = ("a:1",)
LOGIN = {"sasl.mechanism": "SCRAM-SHA-512", "user": "alice", "password": "sesame"}


def secret(**data: str) -> Json:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {"metadata": {"name": "secret", "namespace": "n"}, "data": encoded}


def config_map(**data: str) -> Json:
    return {"metadata": {"name": "config", "namespace": "n"}, "data": {"bootstrap.servers": "a:1", **data}}


def broker(config: Json | None = None, **annotations: str) -> Json:
    config = {"kind": "ConfigMap", "name": "config"} if config is None else config
    return {"metadata": {"name": "b", "namespace": "n", "annotations": annotations}, "spec": {"config": config}}


def asked(question: Any, *objects: Json) -> Any:
    """What it answers with these Secrets and ConfigMaps there."""

    async def body() -> Any:
        store = MemoryStore(KINDS, SystemClock())
        await store.open()
        for each in objects:
            await store.create(SECRET if each["metadata"]["name"] == "secret" else CONFIG_MAP, each)
        return await question(Objects(store, SystemClock()))

    return asyncio.run(body())


@pytest.mark.parametrize(
    ("texts", "servers"),
    [(["a:1"], ("a:1",)), (["a:1, b:2", "c:3"], ("a:1", "b:2", "c:3")), (["[::1]:9092,"], ("[::1]:9092",))],
)
def test_servers(texts: list[str], servers: tuple[str, ...]) -> None:
    assert servers_of(texts, "x") == servers


@pytest.mark.parametrize("text", ["", " , ", "a", "a:", ":1", "a:b", "a:0", "a:65536"])
def test_servers_that_are_none(text: str) -> None:
    with pytest.raises(PermanentError, match=r"where .*kafka\.example:9092"):
        servers_of([text], "where")


@pytest.mark.parametrize(
    ("data", "access"),
    [
        ({"protocol": "PLAINTEXT", **LOGIN}, Access(SERVERS)),
        ({"protocol": "SSL", "ca.crt": "CA"}, Access(SERVERS, tls=True, ca="CA")),
        (
            {"protocol": "SSL", "user.crt": "C", "user.key": "K"},
            Access(SERVERS, tls=True, certificate="C", key="K"),
        ),
        ({"protocol": "SSL", "user.crt": "C", "user.key": "K", "user.skip": "true"}, Access(SERVERS, tls=True)),
        ({"protocol": "SASL_PLAINTEXT", **LOGIN}, Access(SERVERS, "SCRAM-SHA-512", "alice", "sesame")),
        ({"protocol": "SASL_SSL", **LOGIN}, Access(SERVERS, "SCRAM-SHA-512", "alice", "sesame", tls=True)),
    ],
)
def test_secrets(data: dict[str, str], access: Access) -> None:
    assert access_of_secret(SERVERS, data, "Secret") == access


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "Secret: protocol is ''; one of PLAINTEXT, SSL"),
        ({"protocol": "SASL_SSL", "user": "a"}, "needs sasl.mechanism, password"),
        ({"protocol": "SASL_SSL", **LOGIN, "sasl.mechanism": "GSSAPI"}, "'GSSAPI' is no mechanism here"),
    ],
)
def test_secrets_that_cannot_be_used(data: dict[str, str], said: str) -> None:
    with pytest.raises(PermanentError) as caught:
        access_of_secret(SERVERS, data, "Secret")
    assert said in str(caught.value)


def test_a_broker_is_laid_out_as_its_config_map_says() -> None:
    def found(obj: Json, *objects: Json) -> Layout:
        return asked(lambda there: find_layout(there, obj), *objects)  # type: ignore[no-any-return]

    assert found(broker(), config_map()) == Layout(Access(SERVERS), "knative-broker-n-b")
    assert found(
        broker(),
        config_map(
            **{
                "default.topic.partitions": "3",
                "default.topic.replication.factor": "1",
                "default.topic.config.retention.ms": "60000",
                "auth.secret.ref.name": "secret",
            }
        ),
        secret(protocol="SASL_PLAINTEXT", **LOGIN),
    ) == Layout(
        Access(SERVERS, "SCRAM-SHA-512", "alice", "sesame"),
        *("knative-broker-n-b", 3, 1),
        configuration={"retention.ms": "60000"},
    )
    external = found(broker(**{"kafka.eventing.knative.dev/external.topic": "theirs"}), config_map())
    assert (external.topic, external.own_topic) == ("theirs", False)


@pytest.mark.parametrize(
    ("obj", "objects", "kind", "said"),
    [
        (broker({}), [], PermanentError, "spec.config names nothing; class Kafka needs a ConfigMap"),
        (broker({"kind": "Secret", "name": "x"}), [], PermanentError, "spec.config names a Secret"),
        (broker(), [], TemporaryError, "ConfigMap n/config does not exist"),
        (broker(), [config_map(**{"bootstrap.servers": ""})], PermanentError, "names no server"),
        (
            broker(),
            [config_map(**{"default.topic.partitions": "0"})],
            PermanentError,
            "default.topic.partitions is '0'",
        ),
        (
            broker(),
            [config_map(**{"auth.secret.ref.name": "secret"})],
            TemporaryError,
            "Secret n/secret does not exist",
        ),
        (
            broker(),
            [
                config_map(**{"auth.secret.ref.name": "secret"}),
                {"metadata": {"name": "secret", "namespace": "n"}, "data": {"user": "/w=="}},
            ],
            PermanentError,
            "Secret n/secret: a value is no text",
        ),
    ],
)
def test_a_broker_whose_configuration_cannot_be_used(
    obj: Json, objects: list[Json], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        asked(lambda there: find_layout(there, obj), *objects)
    assert said in str(caught.value)


def test_net_takes_each_value_from_a_secret() -> None:
    def of(key: str) -> Json:
        return {"secretKeyRef": {"name": "secret", "key": key}}

    net = {
        "sasl": {"enable": True, "user": of("u"), "password": of("p"), "type": of("t")},
        "tls": {"enable": True, "caCert": of("ca"), "cert": of("c"), "key": of("k")},
    }
    values = secret(u="alice", p="sesame", t="SCRAM-SHA-256", ca="CA", c="C", k="K")

    def found(net: Json | None, *objects: Json) -> Access:
        return asked(lambda there: access_of_net(there, SERVERS, net, "n"), *objects)  # type: ignore[no-any-return]

    assert found(None) == Access(SERVERS)
    assert found({"sasl": {"enable": False, "user": of("u")}, "tls": {"caCert": of("ca")}}) == Access(SERVERS)
    assert found(net, values) == Access(SERVERS, "SCRAM-SHA-256", "alice", "sesame", True, "CA", "C", "K")
    del net["sasl"]["type"]
    assert found(net, values).mechanism == "PLAIN"
    with pytest.raises(TemporaryError, match="Secret n/secret does not exist"):
        found(net)
    with pytest.raises(TemporaryError, match="Secret n/secret has no key 'u'"):
        found(net, secret(x="y"))


def test_a_sink_says_it_by_secret_or_by_net() -> None:
    def sink(auth: Json | None) -> Json:
        return {
            "metadata": {"name": "s", "namespace": "n"},
            "spec": {"bootstrapServers": ["a:1"], "topic": "t", **({"auth": auth} if auth else {})},
        }

    def found(auth: Json | None, *objects: Json) -> Access:
        return asked(lambda there: access_of_sink(there, sink(auth)), *objects)  # type: ignore[no-any-return]

    assert found(None) == Access(SERVERS)
    assert found({"secret": {"ref": {"name": "secret"}}}, secret(protocol="SSL")) == Access(SERVERS, tls=True)
    assert found({"net": {"tls": {"enable": True}}}) == Access(SERVERS, tls=True)
