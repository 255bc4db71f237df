"""core/resources/storage.py, core/resources/storage_rules.py, core/resources/storage_columns.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from core.apiserver.table import cell, columns_of
from core.resources.meta import AdmissionContext, Json, Kind
from core.resources.storage import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS

NOW = 1_700_000_000.0
IMMUTABLE = "spec: Forbidden: spec is immutable after creation except resources.requests for bound claims"


def claim(status: Json | None = None, **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    obj: Json = {"metadata": {"name": "data", "namespace": "default"}, "spec": copy.deepcopy(wanted)}
    return obj | ({"status": status} if status else {})


def volume(**spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "hostPath": {"path": "/srv"}, **spec}
    given = {name: value for name, value in wanted.items() if value is not None}
    return {"metadata": {"name": "v"}, "spec": copy.deepcopy(given)}


def storage_class(**fields: Any) -> Json:
    return {"metadata": {"name": "fast"}, "provisioner": "example.com/disk", **fields}


def admitted(kind: Kind[Any], obj: Json, old: Json | None = None) -> Json:
    result = copy.deepcopy(obj)
    kind.default(result, AdmissionContext(old=old))
    once = copy.deepcopy(result)
    kind.default(result, AdmissionContext(old=old))
    assert result == once
    return result


def refusals(kind: Kind[Any], obj: Json, old: Json | None = None) -> list[str]:
    before = None if old is None else admitted(kind, old)
    return [str(error) for error in kind.validate(admitted(kind, obj, before), AdmissionContext(old=before))]


def test_what_they_get() -> None:
    found = admitted(PERSISTENT_VOLUME_CLAIM, claim())
    assert found["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert (found["spec"]["volumeMode"], found["status"]) == ("Filesystem", {"phase": "Pending"})
    assert "storageClassName" not in found["spec"], "the default class comes with the volume"
    kept = admitted(PERSISTENT_VOLUME, volume())
    assert kept["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    assert (kept["spec"]["persistentVolumeReclaimPolicy"], kept["spec"]["hostPath"]["type"]) == ("Retain", "")
    made = admitted(STORAGE_CLASS, storage_class())
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")


def test_a_finalizer_that_was_taken_off_stays_off() -> None:
    old = admitted(PERSISTENT_VOLUME_CLAIM, claim())
    assert "finalizers" not in admitted(PERSISTENT_VOLUME_CLAIM, claim(), old)["metadata"]


@pytest.mark.parametrize(
    ("obj", "texts"),
    [
        pytest.param(claim(), [], id="whole"),
        pytest.param(
            claim(accessModes=[]), ["spec.accessModes: Required value: at least 1 access mode is required"],
            id="no mode",
        ),
        pytest.param(
            claim(accessModes=["Any"]),
            ['spec.accessModes: Unsupported value: "Any": supported values: "ReadOnlyMany", "ReadWriteMany", '
             '"ReadWriteOnce", "ReadWriteOncePod"'],
            id="a mode that is none",
        ),
        pytest.param(
            claim(accessModes=["ReadWriteOnce", "ReadWriteOncePod"]),
            ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
            id="one Pod, and more",
        ),
        pytest.param(claim(resources={}), ["spec.resources[storage]: Required value"], id="no size"),
        pytest.param(
            claim(resources={"requests": {"storage": "0"}}),
            ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
            id="nothing",
        ),
        pytest.param(
            claim(resources={"requests": {"storage": "much"}}),
            ["spec.resources[storage]: Invalid value: \"much\": 'much' is no quantity: write a number with an optional "
             "suffix, such as 500m, 2, 128Mi or 1G"],
            id="no quantity",
        ),
        pytest.param(
            claim(volumeMode="Tape"),
            ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'],
            id="a strange mode",
        ),
    ],
)  # fmt: skip
def test_claims_that_are_refused(obj: Json, texts: list[str]) -> None:
    assert refusals(PERSISTENT_VOLUME_CLAIM, obj) == texts


BOUND = {"phase": "Bound"}


def sized(size: str, **more: Any) -> Json:
    return claim(BOUND, resources={"requests": {"storage": size}}, **more)


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        pytest.param(claim(), claim(), [], id="the same"),
        pytest.param(sized("1Gi"), sized("1024Mi"), [], id="the same, spelled otherwise"),
        pytest.param(sized("1Gi"), sized("2Gi"), [], id="more, when bound"),
        pytest.param(claim(), claim(resources={"requests": {"storage": "2Gi"}}), [IMMUTABLE], id="more, too soon"),
        pytest.param(
            sized("2Gi"), sized("1Gi"),
            ["spec.resources.requests.storage: Forbidden: field can not be less than previous value"],
            id="less",
        ),
        pytest.param(claim(BOUND), claim(BOUND, accessModes=["ReadWriteMany"]), [IMMUTABLE], id="modes"),
        pytest.param(claim(), claim(volumeName="v"), [], id="a volume, once"),
        pytest.param(claim(volumeName="v"), claim(volumeName="w"), [IMMUTABLE], id="another volume"),
        pytest.param(claim(BOUND, volumeName="v"), claim(BOUND), [IMMUTABLE], id="no volume any more"),
        pytest.param(claim(), claim(storageClassName="standard"), [], id="a class, once"),
        pytest.param(claim(storageClassName="a"), claim(storageClassName="b"), [IMMUTABLE], id="another class"),
    ],
)  # fmt: skip
def test_what_may_change_of_a_claim(old: Json, new: Json, texts: list[str]) -> None:
    assert refusals(PERSISTENT_VOLUME_CLAIM, new, old) == texts


@pytest.mark.parametrize(
    ("obj", "texts"),
    [
        pytest.param(volume(), [], id="whole"),
        pytest.param(volume(hostPath=None, local={"path": "/srv"}), [], id="local"),
        pytest.param(volume(hostPath=None), ["spec: Required value: must specify a volume type"], id="nothing"),
        pytest.param(
            volume(local={"path": "/b"}), ["spec.local: Forbidden: may not specify more than 1 volume type"], id="two"
        ),
        pytest.param(
            volume(hostPath=None, nfs={"server": "s"}),
            ["spec.nfs: Forbidden: a volume of one machine is a folder of it: use hostPath or local"],
            id="elsewhere",
        ),
        pytest.param(
            volume(hostPath={"path": "/a/../b"}),
            ["spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"],
            id="upwards",
        ),
        pytest.param(
            volume(hostPath={"path": "a"}),
            ['spec.hostPath.path: Invalid value: "a": must be an absolute path'],
            id="relative",
        ),
        pytest.param(
            volume(accessModes=None, capacity=None),
            ["spec.accessModes: Required value", "spec.capacity: Required value"],
            id="half",
        ),
        pytest.param(
            volume(capacity={"storage": "1", "cpu": "1"}),
            ['spec.capacity: Unsupported value: "cpu": supported values: "storage"'],
            id="not storage",
        ),
        pytest.param(
            volume(persistentVolumeReclaimPolicy="Recycle"),
            ['spec.persistentVolumeReclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
            id="recycle",
        ),
    ],
)
def test_volumes_that_are_refused(obj: Json, texts: list[str]) -> None:
    assert refusals(PERSISTENT_VOLUME, obj) == texts


def test_what_may_not_change_of_a_volume_or_a_class() -> None:
    assert refusals(PERSISTENT_VOLUME, volume(hostPath={"path": "/other"}, volumeMode="Block"), volume()) == [
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
        'spec.volumeMode: Invalid value: "Block": field is immutable',
    ]
    assert refusals(STORAGE_CLASS, storage_class(allowVolumeExpansion=True), storage_class()) == []
    assert refusals(STORAGE_CLASS, storage_class(provisioner="b", reclaimPolicy="Retain"), storage_class()) == [
        "provisioner: Forbidden: updates to provisioner are forbidden.",
        "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
    ]
    assert refusals(STORAGE_CLASS, storage_class(volumeBindingMode="WaitForFirstConsumer"), storage_class()) == [
        'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable'
    ]
    assert refusals(STORAGE_CLASS, {"metadata": {"name": "c"}}) == ["provisioner: Required value"]


def test_what_has_no_effect_is_told() -> None:
    def warned(kind: Kind[Any], obj: Json) -> list[str]:
        return [each.partition(":")[0] for each in kind.warn(obj, AdmissionContext())]

    assert warned(PERSISTENT_VOLUME_CLAIM, claim()) == []
    assert warned(PERSISTENT_VOLUME, volume(nodeAffinity={"required": {}})) == ["spec.nodeAffinity"]
    assert warned(STORAGE_CLASS, storage_class(parameters={"type": "ssd"})) == ["parameters"]


def printed(kind: Kind[Any], obj: Json) -> dict[str, Any]:
    return {column.name: cell(column, obj, NOW) for column in columns_of(kind) if column.name != "Age"}


def test_what_kubectl_prints() -> None:
    whole = admitted(PERSISTENT_VOLUME_CLAIM, claim(volumeName="v", storageClassName="standard"))
    whole["status"] = {
        "phase": "Bound",
        "capacity": {"storage": "5Gi"},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
    }
    assert printed(PERSISTENT_VOLUME_CLAIM, whole) == {
        "Name": "data", "Status": "Bound", "Volume": "v", "Capacity": "5Gi", "Access Modes": "RWO,RWX",
        "StorageClass": "standard", "VolumeAttributesClass": "<unset>", "VolumeMode": "Filesystem",
    }  # fmt: skip
    pending = printed(PERSISTENT_VOLUME_CLAIM, admitted(PERSISTENT_VOLUME_CLAIM, claim()))
    assert (pending["Status"], pending["Capacity"], pending["Access Modes"]) == ("Pending", "", "")
    whole["metadata"]["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    assert printed(PERSISTENT_VOLUME_CLAIM, whole)["Status"] == "Terminating"
    owned = admitted(PERSISTENT_VOLUME, volume(claimRef={"namespace": "default", "name": "data"}))
    assert printed(PERSISTENT_VOLUME, owned) == {
        "Name": "v", "Capacity": "5Gi", "Access Modes": "RWO", "Reclaim Policy": "Retain", "Status": "Pending",
        "Claim": "default/data", "StorageClass": "", "VolumeAttributesClass": "<unset>", "Reason": None,
        "VolumeMode": "Filesystem",
    }  # fmt: skip
    preferred = storage_class()
    preferred["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    assert printed(STORAGE_CLASS, admitted(STORAGE_CLASS, preferred)) == {
        "Name": "fast (default)", "Provisioner": "example.com/disk", "ReclaimPolicy": "Delete",
        "VolumeBindingMode": "Immediate", "AllowVolumeExpansion": False,
    }  # fmt: skip
