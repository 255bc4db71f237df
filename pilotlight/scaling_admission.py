"""What is said of a ScaledObject or ScaledJob that has to do with other objects, and with the scalers it names.

The API's writing verbs ask it once the rules of the kind are kept (`Backend.judges`). Two ScaledObjects on one target,
a HorizontalPodAutoscaler there, and cpu or memory of containers that request none, are refused as KEDA's webhook
refuses them. What may only come later in a file of documents, a target or an authentication, is a warning; so is what
scalers think of their parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from autoscaler.triggers.documents import authentication_of, triggers_of
from autoscaler.triggers.making import client_missing, load_definition
from core.apiserver.backend import Judge, Verdict
from core.errors import FieldError, NotFound, PermanentError
from core.resources.hpa import HORIZONTAL_POD_AUTOSCALER
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_annotations import HPA_OWNERSHIP, HPA_PREFIX, RESOURCE_TRIGGERS, TRANSFER_HPA_OWNERSHIP
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_defaults import MAX_REPLICAS, hpa_name, or_else, target_of
from core.resources.keda_jobs import SCALED_JOB
from core.resources.keda_validation import check_waking
from core.resources.meta import Json, Kind, controller_of, key_of
from core.resources.quantities import parse_quantity
from core.resources.serving import SERVICE
from core.resources.workloads import DEPLOYMENT
from core.store.base import ByteLister, Store
from scalers.readings import Trigger
from scalers.remarks import Bounds, remarks_on

_TARGETS: Final = {(kind.api_version, kind.kind): kind for kind in (DEPLOYMENT, SERVICE)}
_HPA_NAME: Final = "spec.advanced.horizontalPodAutoscalerConfig.name"


class ScalingAdmission:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def judges(self) -> Mapping[Kind[Any], Judge]:
        return {SCALED_OBJECT: self._judge_object, SCALED_JOB: self._judge_job}

    async def _judge_object(self, obj: Json, dry_run: bool) -> Verdict:
        errors, warnings = await self._autoscalers(obj)
        errors += await self._rivals(obj)
        api_version, kind, name = target_of(obj["spec"])
        declared = _TARGETS.get((api_version, kind))
        target = await self._find(declared, name, obj["metadata"]["namespace"]) if declared else None
        if target is not None and declared is DEPLOYMENT and not dry_run:
            errors += _check_requests(obj, target)
        errors += check_waking(obj["spec"])
        warnings += await self._remarks(obj)
        if target is not None and declared is DEPLOYMENT:
            warnings += _strange_containers(obj, target)
        if declared is not None and target is None:
            warnings.insert(0, f"spec.scaleTargetRef.name: there is no {kind} {name} in this namespace yet")
        return Verdict(errors, warnings)

    async def _judge_job(self, obj: Json, dry_run: bool) -> Verdict:
        return Verdict(warnings=await self._remarks(obj))

    async def _rivals(self, obj: Json) -> list[FieldError]:
        """Another ScaledObject that scales the same, or would have the same HorizontalPodAutoscaler."""
        key, target, autoscaler = key_of(obj), target_of(obj["spec"]), hpa_name(obj)
        api_version, kind, name = target
        errors = []
        names = (name, autoscaler, autoscaler.removeprefix(HPA_PREFIX))
        for other in await self._mentioning(SCALED_OBJECT, key.namespace, *names):
            rival = key_of(other)
            if rival == key:
                continue
            if target_of(other["spec"]) == target:
                said = f"the workload '{name}' of type '{api_version}.{kind}' is already managed by the ScaledObject"
                errors.append(FieldError("spec.scaleTargetRef.name", f"{said} '{rival.name}'"))
            elif hpa_name(other) == autoscaler:
                said = f"the HPA '{autoscaler}' is already managed by the ScaledObject '{rival.name}'"
                errors.append(FieldError(_HPA_NAME, said))
        return errors

    async def _autoscalers(self, obj: Json) -> tuple[list[FieldError], list[str]]:
        """HorizontalPodAutoscalers that no ScaledObject has: on the same target, or of the name of its own."""
        target, own, namespace = target_of(obj["spec"]), hpa_name(obj), obj["metadata"]["namespace"]
        takes_over = (obj["metadata"].get("annotations") or {}).get(TRANSFER_HPA_OWNERSHIP) == "true"
        errors, warnings = [], []
        for other in await self._mentioning(HORIZONTAL_POD_AUTOSCALER, namespace, target[2], own):
            name, owner = other["metadata"]["name"], controller_of(other)
            if (owner is not None and owner["kind"] == SCALED_OBJECT.kind) or (takes_over and name == own):
                continue
            excused = (other["metadata"].get("annotations") or {}).get(HPA_OWNERSHIP) == "false"
            if target_of(other["spec"]) == target and not excused:
                errors.append(_managed(target, name, takes_over=takes_over))
            elif name == own:
                warnings.append(
                    f"{_HPA_NAME}: there is a HorizontalPodAutoscaler {name} of another, which stays as it is: none "
                    "will show what this ScaledObject does until it has another name"
                )
        return errors, warnings

    async def _mentioning(self, kind: Kind[Any], namespace: str, *names: str) -> Iterable[Json]:
        """The objects of a namespace that hold one of these names somewhere: of thousands, few are parsed."""
        if not isinstance(self._store, ByteLister):
            return (await self._store.list(kind, namespace)).items
        spelled = [orjson.dumps(name) for name in names]
        texts = (await self._store.list_bytes(kind, namespace)).items
        return [orjson.loads(text) for text in texts if any(each in text for each in spelled)]

    async def _remarks(self, obj: Json) -> list[str]:
        most = or_else(obj["spec"].get("maxReplicaCount"), MAX_REPLICAS)
        said: list[str] = []
        for trigger in triggers_of(obj):
            reference = authentication_of(obj, trigger.index)
            if reference:
                said += await self._missing(reference, trigger)
            said += await _scaler_remarks(trigger, Bounds(most, authenticated=bool(reference)))
        return said

    async def _missing(self, reference: Json, trigger: Trigger) -> Sequence[str]:
        kind: Kind[Any] = TRIGGER_AUTHENTICATION
        where, namespace = " in this namespace", trigger.owner.namespace
        if reference.get("kind") == CLUSTER_TRIGGER_AUTHENTICATION.kind:
            kind, where, namespace = CLUSTER_TRIGGER_AUTHENTICATION, "", ""
        name = reference["name"]
        if await self._find(kind, name, namespace) is not None:
            return ()
        return (f"{trigger.path}.authenticationRef.name: there is no {kind.kind} {name}{where} yet",)

    async def _find(self, kind: Kind[Any], name: str, namespace: str) -> Json | None:
        try:
            return await self._store.get(kind, name, namespace)
        except NotFound:
            return None


def _managed(target: tuple[str, str, str], autoscaler: str, *, takes_over: bool) -> FieldError:
    """In KEDA's words, and what to do."""
    api_version, kind, name = target
    if takes_over:
        said = (
            f"the existing hpa '{autoscaler}' for workload '{name}' of type '{api_version}.{kind}' must be specified "
            "by name in advanced settings to enable ownership transfer"
        )
        return FieldError(_HPA_NAME, said)
    said = (
        f"the workload '{name}' of type '{api_version}.{kind}' is already managed by the hpa '{autoscaler}': delete "
        f"it, or take it over with the annotation {TRANSFER_HPA_OWNERSHIP} and its name in {_HPA_NAME}"
    )
    return FieldError("spec.scaleTargetRef.name", said)


async def _scaler_remarks(trigger: Trigger, bounds: Bounds) -> Sequence[str]:
    try:
        definition = await load_definition(trigger.type)
    except PermanentError as error:
        return (f"{trigger.path}.type: {error}",)
    except ImportError as error:
        return (f"{trigger.path}.type: {client_missing(trigger.type, '', error)}",)
    return remarks_on(trigger, definition, bounds)


def _strange_containers(obj: Json, deployment: Json) -> list[str]:
    """Containers that are named and are not there."""
    present = [container["name"] for container in deployment["spec"]["template"]["spec"]["containers"]]
    target = obj["spec"]["scaleTargetRef"]
    named = [("spec.scaleTargetRef.envSourceContainerName", target.get("envSourceContainerName"))]
    named += [
        (f"spec.triggers[{index}].metadata.containerName", trigger["metadata"].get("containerName"))
        for index, trigger in enumerate(obj["spec"]["triggers"])
        if trigger["type"] in RESOURCE_TRIGGERS
    ]
    return [
        f"{path}: Deployment {target['name']} has no container {name}; it has {', '.join(present)}"
        for path, name in named
        if name and name not in present
    ]


def _check_requests(obj: Json, deployment: Json) -> list[FieldError]:
    """cpu and memory are measured against what containers request, or the Pod as a whole does."""
    pod, errors = deployment["spec"]["template"]["spec"], []
    for index, trigger in enumerate(obj["spec"]["triggers"]):
        resource, only = trigger["type"], trigger["metadata"].get("containerName")
        if resource not in RESOURCE_TRIGGERS or (not only and _requests(pod, resource)):
            continue
        errors += [
            FieldError(
                f"spec.triggers[{index}]",
                f"the scaledobject has a {resource} trigger but the container {container['name']} doesn't have the "
                f"{resource} request defined: set its resources.requests.{resource} in Deployment "
                f"{deployment['metadata']['name']}",
            )
            for container in pod["containers"]
            if only in (None, "", container["name"]) and not _requests(container, resource)
        ]
    return errors


def _requests(part: Json, resource: str) -> bool:
    """As a request, or as a limit, which is one where there is none."""
    resources = part.get("resources") or {}
    said = [(resources.get(field) or {}).get(resource) for field in ("requests", "limits")]
    return any(parse_quantity(each) > 0 for each in said if each is not None)
