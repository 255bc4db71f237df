"""Which folders the claims of a Pod stand for, or why it cannot run yet, in the words of kube-scheduler. Pure.

`deploy/planning` fetches claims and volumes; `deploy/podvolumes` mounts the folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.resources.meta import Json
from core.resources.pods import PodSpec
from core.resources.storage_rules import BOUND, LOST
from deploy.runtimes.base import StartError
from deploy.scheduling import UNSCHEDULABLE


@dataclass(frozen=True, slots=True)
class ClaimedFolder:
    """`type` as hostPath has it: "" and DirectoryOrCreate make a folder that is missing."""

    path: Path
    type: str = ""


def claims_of(spec: PodSpec) -> list[str]:
    """The claims that its volumes name, each once."""
    named = (volume.persistent_volume_claim for volume in spec.volumes or ())
    return list(dict.fromkeys(each.claim_name for each in named if each is not None))


def claims_in(pod: Json) -> set[str]:
    """The same of a Pod as it is stored."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return {each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each}


def folder_of(name: str, claim: Json | None, volume: Json | None) -> ClaimedFolder:
    """`volume` is the one that the claim names. StartError."""
    if claim is None:
        raise _unschedulable(f'persistentvolumeclaim "{name}" not found')
    if "deletionTimestamp" in claim["metadata"]:
        raise _unschedulable(f'persistentvolumeclaim "{name}" is being deleted')
    phase, has = (claim.get("status") or {}).get("phase"), claim["spec"].get("volumeName")
    if phase == LOST or (phase == BOUND and volume is None):
        raise _unschedulable(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{has}"')
    if phase != BOUND or volume is None:
        raise _unschedulable(f'pod has unbound immediate PersistentVolumeClaims: "{name}" is not bound')
    spec = volume["spec"]
    if (local := spec.get("local")) is not None:
        return ClaimedFolder(Path(local["path"]), "Directory")
    return ClaimedFolder(Path(spec["hostPath"]["path"]), spec["hostPath"].get("type") or "")


def _unschedulable(why: str) -> StartError:
    return StartError(UNSCHEDULABLE, f"0/1 nodes are available: {why}.")
