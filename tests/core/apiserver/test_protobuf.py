"""core.apiserver.protobuf against a writer of the same wire format; the real kubectl is in tests/integration."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.protobuf import MAGIC, read_protobuf
from core.errors import ApiError, UnsupportedMediaType


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def test_a_config_map() -> None:
    metadata = field(1, "a") + field(3, "default") + field(8, b"") + field(11, field(1, "app") + field(2, "web"))
    raw = field(1, metadata) + field(2, field(1, "k") + field(2, "v")) + field(3, field(1, "b") + field(2, b"\x00\x01"))
    assert read_protobuf(envelope("v1", "ConfigMap", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default", "labels": {"app": "web"}},
        "data": {"k": "v"},
        "binaryData": {"b": "AAE="},
    }


def test_a_deployment_keeps_zero_and_unfolds_what_go_embeds() -> None:
    secret = field(1, field(1, "s")) + field(2, "key")
    env = field(1, "E") + field(2, "") + field(3, field(4, secret))
    port = field(1, "http") + field(3, 8080)
    get = field(1, "/") + field(2, field(1, 1) + field(3, "http"))
    probe = field(1, field(2, get)) + field(2, 5)
    limits = field(1, field(1, "cpu") + field(2, field(1, "500m")))
    container = field(1, "c") + field(7, env) + field(6, port) + field(10, probe) + field(8, limits)
    volume = field(1, "v") + field(2, field(19, field(1, field(1, "cm"))))
    spec = field(2, container) + field(1, volume) + field(4, 30)
    raw = field(1, field(1, "d")) + field(2, field(1, 0) + field(3, field(2, spec)))
    found = read_protobuf(envelope("apps/v1", "Deployment", raw))
    assert found["spec"]["replicas"] == 0
    pod = found["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["volumes"] == [{"name": "v", "configMap": {"name": "cm"}}]
    assert pod["containers"] == [
        {
            "name": "c",
            "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {"limits": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 5},
        }
    ]


def test_numbers_times_and_fields() -> None:
    managed = field(1, "m") + field(4, field(1, 1_700_000_000)) + field(7, field(1, b'{"f:data":{}}'))
    raw = field(1, field(1, "e") + field(17, managed)) + field(8, -1)
    found = read_protobuf(envelope("v1", "Event", raw))
    assert found["count"] == -1
    assert found["metadata"]["managedFields"] == [
        {"manager": "m", "time": "2023-11-14T22:13:20Z", "fieldsV1": {"f:data": {}}}
    ]


def test_options_of_a_deletion_in_any_group() -> None:
    raw = field(1, 0) + field(4, "Foreground") + field(2, field(1, "uid-1"))
    assert read_protobuf(envelope("policy/v1", "DeleteOptions", raw)) == {
        "apiVersion": "policy/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "uid-1"},
    }


def test_a_kind_without_a_table_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json"):
        read_protobuf(envelope("batch/v1", "CronJob", b""))


@given(st.binary(max_size=64))
def test_noise_is_refused_or_read_but_never_an_accident(noise: bytes) -> None:
    for body in (noise, MAGIC + noise, envelope("v1", "Pod", noise)):
        with suppress(ApiError):
            assert isinstance(read_protobuf(body), dict)
