"""ContainerSource → a Deployment of its template and a SinkBinding that tells it where to send
(knative.dev/eventing/pkg/reconciler/containersource).

The Deployment waits for the sink: nothing runs that would not know where to send. Both go with the source.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.objects import is_controlled_by
from core.resources.child_names import child_name
from core.resources.conditions import Conditions, find_condition
from core.resources.meta import AdmissionContext, Json, Kind, ObjectKey, owner_reference
from core.resources.sources import CONTAINER_SOURCE, CONTAINER_SOURCE_CONDITIONS, SINK_BINDING, SINK_PROVIDED
from core.resources.workloads import DEPLOYMENT
from core.tasks import Service
from eventing.controllers.world import World

SOURCE_LABEL: Final = "sources.knative.dev/source"
NAME_LABEL: Final = "sources.knative.dev/containerSource"
CONTROLLER: Final = "container-source-controller"
RECEIVE_ADAPTER_READY, SINK_BINDING_READY = "ReceiveAdapterReady", "SinkBindingReady"


class ContainerSources:
    """`base.Source`."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def services(self) -> Sequence[tuple[str, Service]]:
        return ()

    def controller(self) -> Controller:
        watches = [
            Watched(CONTAINER_SOURCE, itself),
            Watched(SINK_BINDING, owner(CONTAINER_SOURCE)),
            Watched(DEPLOYMENT, owner(CONTAINER_SOURCE)),
        ]
        return Controller("containersource", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        source = await self._world.find_live(CONTAINER_SOURCE, key)
        if source is None:
            return  # what it made goes with it: the garbage collector's work
        conditions = CONTAINER_SOURCE_CONDITIONS.manage(source.get("status"), self._world.now())
        status: Json = {"observedGeneration": source["metadata"].get("generation", 0)}
        binding = await self._ensure(SINK_BINDING, source, make_binding(source), conditions, SINK_BINDING_READY)
        if binding is not None:
            missing = ("SinkBindingNotReady", "the SinkBinding has not been looked at yet")
            conditions.copy_from(SINK_BINDING_READY, find_condition(binding), missing)
            found = binding.get("status") or {}
            status |= {name: found[name] for name in ("sinkUri", "sinkCACerts") if name in found}
            await self._run(source, binding, conditions)
        await self._world.write_status(CONTAINER_SOURCE, source, {**status, "conditions": conditions.to_json()})

    async def _run(self, source: Json, binding: Json, conditions: Conditions) -> None:
        """As it is told where to send; without a sink, what runs goes on as it was told last."""
        deployment = await self._world.find(DEPLOYMENT, _child(source, "-deployment"))
        if (find_condition(binding, SINK_PROVIDED) or {}).get("status") == "True":
            wanted = make_deployment(source)
            self._world.bindings.inject(DEPLOYMENT, wanted)
            deployment = await self._ensure(DEPLOYMENT, source, wanted, conditions, RECEIVE_ADAPTER_READY)
        elif deployment is None:
            conditions.mark_unknown(RECEIVE_ADAPTER_READY, "NoSink", "nothing runs before there is a sink")
        if deployment is not None:
            missing = ("DeploymentUnavailable", "the Deployment has not been looked at yet")
            conditions.copy_from(RECEIVE_ADAPTER_READY, find_condition(deployment, "Available"), missing)

    async def _ensure(
        self, kind: Kind[Any], source: Json, wanted: Json, conditions: Conditions, marked: str
    ) -> Json | None:
        """The child, made or brought up to date; None where somebody else's has its name."""
        key = ObjectKey(wanted["metadata"]["namespace"], wanted["metadata"]["name"])
        current = await self._world.find(kind, key)
        if current is None:
            return await self._world.store.create(kind, wanted)
        if not is_controlled_by(current, source):
            said = f"{kind.kind} {key} is there already, and does not belong to this ContainerSource"
            conditions.mark_false(marked, "NotOwned", said)
            return None

        def change(now: Json) -> Json:
            kept = {name: now["spec"][name] for name in ("replicas",) if name in now["spec"]}  # its user's to scale
            return {**now, "spec": {**now["spec"], **wanted["spec"], **kept}}

        return await self._world.write(kind, current, change)


def make_binding(source: Json) -> Json:
    spec, namespace = source["spec"], source["metadata"]["namespace"]
    subject = {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "namespace": namespace,
        "name": _child(source, "-deployment").name,
    }
    return {
        "apiVersion": SINK_BINDING.api_version,
        "kind": SINK_BINDING.kind,
        "metadata": _metadata(source, "-sinkbinding"),
        "spec": {
            "subject": subject,
            "sink": spec.get("sink") or {},
            **({"ceOverrides": spec["ceOverrides"]} if spec.get("ceOverrides") else {}),
        },
    }


def make_deployment(source: Json) -> Json:
    """With what admission would fill in."""
    template: Json = copy.deepcopy(source["spec"]["template"])
    metadata = template.get("metadata") or {}
    labels = _labels(source)
    template["metadata"] = {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}
    deployment = {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": _metadata(source, "-deployment"),
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    DEPLOYMENT.default(deployment, AdmissionContext())
    return deployment


def _metadata(source: Json, suffix: str) -> Json:
    key = _child(source, suffix)
    return {
        "name": key.name,
        "namespace": key.namespace,
        "labels": _labels(source),
        "ownerReferences": [owner_reference(CONTAINER_SOURCE, source).to_json()],
    }


def _child(source: Json, suffix: str) -> ObjectKey:
    metadata = source["metadata"]
    return ObjectKey(metadata["namespace"], child_name(metadata["name"], suffix))


def _labels(source: Json) -> dict[str, str]:
    return {SOURCE_LABEL: CONTROLLER, NAME_LABEL: source["metadata"]["name"]}
