"""deploy/claims.py, deploy/claimed.py, deploy/claim_folders.py: who gets which volume, and what it is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.resources.meta import Json
from core.resources.pods import POD
from deploy import claims
from deploy.claim_folders import check_folders, make_folder, remove_folder
from deploy.claimed import ClaimedFolder, claims_in, claims_of, folder_of
from deploy.claims import Bind, Join, Keep, Provide, Standing, Wait, decide_claim, decide_volume
from deploy.runtimes.base import StartError
from tests.support.pods import pod

FOLDERS = Path("/data/claims")


def claim(uid: str = "u-1", **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": "data", "namespace": "default", "uid": uid, "annotations": {}}
    return {"metadata": metadata, "spec": wanted, "status": {"phase": "Pending"}}


def had(obj: Json, volume: str) -> Json:
    obj["metadata"]["annotations"] = {claims.BIND_COMPLETED: "yes"}
    obj["spec"]["volumeName"] = volume
    return obj


def volume(name: str = "v", size: str = "1Gi", labels: Json | None = None, **spec: Any) -> Json:
    given = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "hostPath": {"path": "/srv"}, **spec}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": given}


def storage_class(
    name: str = "standard", *, default: bool = False, made: str = "2026-01-01T00:00:00Z", **fields: Any
) -> Json:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    metadata = {"name": name, "annotations": annotations, "creationTimestamp": made}
    return {"metadata": metadata, "provisioner": claims.PROVISIONER, **fields}


MINE = {"namespace": "default", "name": "data", "uid": "u-1"}
ANOTHER = {"namespace": "default", "name": "other", "uid": "u-2"}
EARLIER = {**MINE, "uid": "u-0"}
RESERVED = {"namespace": "default", "name": "data"}
STANDARD = storage_class(default=True)
MANUAL = {"storageClassName": "manual"}


def outcome(obj: Json, volumes: list[Json], classes: list[Json]) -> tuple[str, str]:
    """The sort of fate, and what it is about."""
    match decide_claim(obj, volumes, classes):
        case Keep(found, capacity):
            return "keep", capacity or found["metadata"]["name"]
        case Join(name):
            return "join", name
        case Bind(found):
            return "bind", found["metadata"]["name"]
        case Provide(found):
            return "provide", found["metadata"]["name"]
        case Wait(reason, message, _, phase):
            return f"{phase} {reason}", message


@pytest.mark.parametrize(
    ("obj", "volumes", "classes", "fate", "about"),
    [
        pytest.param(claim(), [], [STANDARD], "join", "standard", id="the default class"),
        pytest.param(
            claim(), [], [STANDARD, storage_class("new", default=True, made="2026-02-01T00:00:00Z")], "join", "new",
            id="the newest of several default classes",
        ),
        pytest.param(claim(storageClassName="standard"), [], [STANDARD], "provide", "standard", id="made for it"),
        pytest.param(
            claim(), [], [storage_class()], "Pending FailedBinding",
            "no persistent volumes available for this claim and no storage class is set", id="no default class",
        ),
        pytest.param(
            claim(storageClassName=""), [], [STANDARD], "Pending FailedBinding",
            "no persistent volumes available for this claim and no storage class is set", id="no class on purpose",
        ),
        pytest.param(
            claim(storageClassName="x"), [], [STANDARD], "Pending ProvisioningFailed",
            'storageclass.storage.k8s.io "x" not found', id="unknown class",
        ),
        pytest.param(
            claim(storageClassName="x"), [], [storage_class("x", provisioner="ebs.csi.aws.com")],
            "Pending ExternalProvisioning", "Waiting for a volume to be created", id="of somebody else",
        ),
        pytest.param(
            claim(storageClassName="x"), [], [storage_class("x", provisioner=claims.NO_PROVISIONER)],
            "Pending FailedBinding", "create one by hand", id="of nobody",
        ),
        pytest.param(
            claim(storageClassName="standard", volumeMode="Block"), [], [STANDARD], "Pending ProvisioningFailed",
            'failed to provision volume with StorageClass "standard": spec.volumeMode Block', id="a device",
        ),
        pytest.param(
            claim(storageClassName="standard", accessModes=["ReadWriteOncePod"]), [], [STANDARD],
            "Pending ProvisioningFailed", "use ReadWriteOnce", id="one Pod",
        ),
        pytest.param(
            claim(storageClassName="standard", selector={"matchLabels": {"a": "b"}}), [], [STANDARD],
            "Pending ProvisioningFailed", "spec.selector", id="chosen, and made",
        ),
        pytest.param(
            claim(**MANUAL),
            [volume("big", "9Gi", **MANUAL), volume("fit", "2Gi", **MANUAL), volume("small", "1Mi", **MANUAL)],
            [], "bind", "fit", id="the least that will do",
        ),
        pytest.param(
            claim(**MANUAL, selector={"matchLabels": {"disk": "b"}}),
            [volume("a", labels={"disk": "a"}, **MANUAL), volume("b", "5Gi", {"disk": "b"}, **MANUAL)],
            [], "bind", "b", id="the one with the label",
        ),
        pytest.param(
            claim(**MANUAL), [volume("a", **MANUAL), volume("kept", "7Gi", claimRef=RESERVED, **MANUAL)], [],
            "bind", "kept", id="the one that was kept for it",
        ),
        pytest.param(
            claim(**MANUAL), [volume("a", claimRef=ANOTHER, **MANUAL), volume("b", claimRef=EARLIER, **MANUAL)], [],
            "Pending ProvisioningFailed", "not found", id="those of others, and of an earlier one of its name",
        ),
        pytest.param(
            claim(**MANUAL, accessModes=["ReadWriteMany"]), [volume(**MANUAL)], [], "Pending ProvisioningFailed", "",
            id="one for fewer",
        ),
        pytest.param(claim(volumeName="v", storageClassName=""), [volume()], [], "bind", "v", id="named"),
        pytest.param(
            claim(volumeName="v", **MANUAL), [volume()], [], "Pending VolumeMismatch",
            'Cannot bind to requested volume "v": storageClassName does not match', id="named, of another class",
        ),
        pytest.param(
            claim(volumeName="v", storageClassName=""), [volume(size="1Mi")], [], "Pending VolumeMismatch",
            "requested PV is too small", id="named, too small",
        ),
        pytest.param(
            claim(volumeName="v", storageClassName=""), [volume(claimRef=ANOTHER)], [], "Pending FailedBinding",
            'volume "v" already bound to a different claim.', id="named, of another",
        ),
        pytest.param(
            claim(volumeName="v"), [], [], "Pending FailedBinding", 'volume "v" not found', id="named, nowhere"
        ),
        pytest.param(had(claim(), "v"), [volume(claimRef=MINE)], [], "keep", "v", id="kept"),
        pytest.param(
            had(claim(resources={"requests": {"storage": "3Gi"}}), "v"), [volume(claimRef=MINE)], [], "keep", "3Gi",
            id="kept, and grown",
        ),
        pytest.param(had(claim(), "v"), [volume()], [], "bind", "v", id="kept by the claim, and not by the volume"),
        pytest.param(had(claim(), "v"), [], [STANDARD], "Lost ClaimLost", "Data on the volume is lost!", id="lost"),
        pytest.param(
            had(claim(), "v"), [volume(claimRef=ANOTHER)], [], "Lost ClaimMisbound", "bound incorrectly", id="misbound"
        ),
    ],
)  # fmt: skip
def test_what_becomes_of_a_claim(obj: Json, volumes: list[Json], classes: list[Json], fate: str, about: str) -> None:
    found, said = outcome(obj, volumes, classes)
    assert found == fate
    assert about in said


def test_a_volume_that_goes_is_given_to_nobody() -> None:
    going = volume(**MANUAL)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert claims.find_volume(claim(**MANUAL), [going]) is None


def test_a_volume_that_is_made_is_its_claims() -> None:
    obj = claim(storageClassName="standard")
    made = claims.make_volume(obj, storage_class(reclaimPolicy="Retain"), FOLDERS / claims.folder_name(obj))
    assert made["metadata"]["name"] == "pvc-u-1"
    assert made["spec"]["hostPath"] == {"path": "/data/claims/pvc-u-1_default_data", "type": "Directory"}
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert decide_claim(claims.bound(obj, made), [made], []) == Keep(made)
    assert claims.bound_status(obj, made) == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
    }
    assert decide_claim(obj, [made], []) == Bind(made), "also where the platform was killed in between"


def test_growing_is_for_classes_that_allow_it() -> None:
    small, big = claim(**MANUAL), claim(**MANUAL, resources={"requests": {"storage": "2Gi"}})
    assert claims.why_fixed(small, small, []) == ""
    assert claims.why_fixed(small, big, [storage_class("manual", allowVolumeExpansion=True)]) == ""
    assert "must support resize" in claims.why_fixed(small, big, [storage_class("manual")])
    assert "must support resize" in claims.why_fixed(small, big, [])


def ours(path: str, **spec: Any) -> Json:
    made = volume(hostPath={"path": path}, persistentVolumeReclaimPolicy="Delete", **spec)
    made["metadata"]["annotations"] = {claims.PROVISIONED_BY: claims.PROVISIONER}
    return made


@pytest.mark.parametrize(
    ("obj", "owner", "standing"),
    [
        pytest.param(volume(), None, Standing("Available"), id="free"),
        pytest.param(volume(claimRef=RESERVED), None, Standing("Available"), id="kept for one to come"),
        pytest.param(volume(claimRef=MINE), claim(volumeName="v"), Standing("Bound"), id="had"),
        pytest.param(ours("/data/claims/a", claimRef=MINE), claim(), Standing("Bound"), id="made a moment ago"),
        pytest.param(
            volume(claimRef=MINE, persistentVolumeReclaimPolicy="Retain"), None, Standing("Released"), id="to be kept"
        ),
        pytest.param(
            ours("/data/claims/a", claimRef=MINE), None, Standing("Released", reclaim=True), id="ours, to be removed"
        ),
        pytest.param(
            ours("/data/claims/a", claimRef=MINE), claim("u-2"), Standing("Released", reclaim=True),
            id="of an earlier claim of that name",
        ),
        pytest.param(
            volume(claimRef=MINE, persistentVolumeReclaimPolicy="Delete"), None,
            Standing(
                "Failed", message="/srv was not made in /data/claims, and is left alone: remove it yourself"
            ),
            id="somebody's own folder",
        ),
    ],
)  # fmt: skip
def test_what_becomes_of_a_volume(obj: Json, owner: Json | None, standing: Standing) -> None:
    assert decide_volume(obj, owner, FOLDERS) == standing


@pytest.mark.parametrize("path", ["/etc", "/data/claims", "/data/claims/../../etc", "/data/claims/a/b", ""])
def test_nothing_is_removed_that_is_no_folder_of_a_claim(path: str) -> None:
    assert not decide_volume(ours(path, claimRef=MINE), None, FOLDERS).reclaim


# --- what a Pod mounts


def bound_claim(**metadata: Any) -> Json:
    obj = had(claim(), "v")
    obj["metadata"] |= metadata
    return {**obj, "status": {"phase": "Bound"}}


@pytest.mark.parametrize(
    ("obj", "found", "message"),
    [
        pytest.param(None, None, 'persistentvolumeclaim "data" not found', id="missing"),
        pytest.param(
            claim(), None, 'pod has unbound immediate PersistentVolumeClaims: "data" is not bound', id="unbound"
        ),
        pytest.param(
            bound_claim(deletionTimestamp="2026-01-01T00:00:00Z"), volume(),
            'persistentvolumeclaim "data" is being deleted', id="going",
        ),
        pytest.param(
            bound_claim(), None, 'persistentvolumeclaim "data" bound to non-existent persistentvolume "v"', id="lost"
        ),
    ],
)  # fmt: skip
def test_why_a_pod_waits(obj: Json | None, found: Json | None, message: str) -> None:
    with pytest.raises(StartError) as refusal:
        folder_of("data", obj, found)
    assert (refusal.value.reason, refusal.value.message) == ("Unschedulable", f"0/1 nodes are available: {message}.")


def test_which_folder_a_claim_stands_for() -> None:
    assert folder_of("data", bound_claim(), volume()) == ClaimedFolder(Path("/srv"), "")
    local = volume(local={"path": "/disk"})
    del local["spec"]["hostPath"]
    assert folder_of("data", bound_claim(), local) == ClaimedFolder(Path("/disk"), "Directory")


def test_the_claims_of_a_pod() -> None:
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": "data"}} for name in "ab"]
    obj = pod(volumes=[*volumes, {"name": "c", "emptyDir": {}}])
    assert claims_of(POD.parse(obj).spec) == ["data"]
    assert claims_in(obj) == {"data"}
    assert claims_in(pod()) == set()


# --- on disk


def test_a_folder_is_everybodys_and_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "claims" / "a"
    make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o777
    (folder / "deep").mkdir()
    (folder / "deep/file").write_text("x")
    folder.chmod(0o700)
    make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700, "whoever closed it closed it"
    remove_folder(folder)
    remove_folder(folder)
    assert list((tmp_path / "claims").iterdir()) == []


def test_a_new_folder_is_on_the_disk_with_the_folder_that_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that outlives a power cut must not name a folder that does not."""
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    make_folder(tmp_path / "claims" / "a")
    assert synced == [tmp_path / "claims" / "a", tmp_path / "claims", tmp_path]
    make_folder(tmp_path / "claims" / "a")
    assert len(synced) == 3


def test_a_removal_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    left = tmp_path / ".going-a"
    left.mkdir()
    (left / "file").write_text("x")
    remove_folder(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_is_to_be_mounted_must_be_there(tmp_path: Path) -> None:
    made, missing = tmp_path / "made", tmp_path / "missing"
    check_folders({made: ClaimedFolder(made, "DirectoryOrCreate")})
    assert made.is_dir()
    with pytest.raises(StartError, match=f"hostPath type check failed: {missing} is not a directory"):
        check_folders({missing: ClaimedFolder(missing, "Directory")})
    assert not missing.exists(), "an empty folder in its place would look like data that is lost"
    below = tmp_path / "file" / "folder"
    below.parent.write_text("x")
    with pytest.raises(StartError, match="hostPath type check failed"):
        check_folders({below: ClaimedFolder(below)})
