"""The marks on fields reach the schema that clients fetch."""

from __future__ import annotations

from core.resources.containers import Container
from core.resources.fields import NOT_HONORED, doc, key_default, keyed, patched, unhonored, unique, whole
from core.resources.meta import Model, ObjectMeta
from core.resources.pods import PodStatus
from core.resources.volumes import Volume


class Sample(Model):
    plain: str | None = doc("Plain.")
    renamed: str | None = unhonored("Odd.", alias="ODD")
    items: list[dict[str, str]] | None = keyed("Items.", "name", "port", merge_key="port")
    names: list[str] | None = unique("Names.")
    rows: list[dict[str, str]] | None = patched("Rows.", "name")
    selector: dict[str, str] | None = whole("Selector.")
    protocol: str | None = key_default("Protocol.", "TCP")


def test_marks_reach_the_schema() -> None:
    fields = Sample.model_json_schema()["properties"]
    assert fields["plain"]["description"] == "Plain."
    assert fields["ODD"]["description"] == f"Odd. {NOT_HONORED}"
    assert fields["items"]["x-kubernetes-list-map-keys"] == ["name", "port"]
    assert fields["items"]["x-kubernetes-patch-merge-key"] == "port"
    assert fields["names"]["x-kubernetes-list-type"] == "set"
    assert fields["rows"]["x-kubernetes-list-type"] == "atomic"
    assert fields["rows"]["x-kubernetes-patch-merge-key"] == "name"
    assert fields["selector"]["x-kubernetes-map-type"] == "atomic"
    assert fields["protocol"]["default"] == "TCP"


def test_the_lists_of_a_pod_are_marked_as_upstream() -> None:
    container = Container.model_json_schema()["properties"]
    assert container["ports"]["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert container["ports"]["x-kubernetes-patch-merge-key"] == "containerPort"
    assert container["volumeMounts"]["x-kubernetes-list-map-keys"] == ["mountPath"]
    metadata = ObjectMeta.model_json_schema()["properties"]
    assert metadata["ownerReferences"]["x-kubernetes-list-map-keys"] == ["uid"]
    assert metadata["finalizers"]["x-kubernetes-list-type"] == "set"
    assert PodStatus.model_json_schema()["properties"]["podIPs"]["x-kubernetes-patch-merge-key"] == "ip"
    assert "downwardAPI" in Volume.model_json_schema()["properties"]
