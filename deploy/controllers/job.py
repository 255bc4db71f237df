"""Job → Pods: reads what there is, asks `deploy/jobs` what to do, does it, writes the status.

On a cluster Kubernetes does this. A Pod that the status has counted is marked so. Pods are observed state and end with
the platform; what the status has counted stays counted, and what ran is run again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from core.clock import Clock
from core.errors import NotFound
from core.reconcile.controller import Watched, itself, owner
from core.reconcile.events import Recorder
from core.resources.batch import COMPLETE, FAILED, INDEX_ANNOTATION, JOB, JOB_NAME_LABELS, JOB_UID_LABELS
from core.resources.child_names import child_name
from core.resources.meta import Json, ObjectKey, controller_of, owner_reference
from core.resources.pilotlight import COUNTED
from core.resources.pods import POD
from core.resources.timestamps import epoch_of
from core.store.base import DeleteOptions, LocalStore, Propagation
from deploy.controllers.changes import when_desired_changes
from deploy.controllers.deployment import ready_since
from deploy.job_failures import judge
from deploy.jobs import JobPlan, Run, RunState, plan_job

WATCHES = (Watched(JOB, when_desired_changes(itself)), Watched(POD, owner(JOB)))
_STATES = {"Succeeded": RunState.SUCCEEDED, "Failed": RunState.FAILED}
_SUFFIX_CHARS = 6  # `-` and what the store adds


class JobReconciler:
    """A `core.reconcile.controller.Reconciler` for keys of Jobs."""

    def __init__(self, store: LocalStore, clock: Clock, recorder: Recorder) -> None:
        self._store, self._clock, self._recorder = store, clock, recorder

    async def __call__(self, key: ObjectKey) -> float | None:
        try:
            job = await self._store.get(JOB, key.name, key.namespace)
        except NotFound:
            return None  # its Pods go with it: the garbage collector's work
        if "deletionTimestamp" in job["metadata"] or job["spec"].get("managedBy"):
            return None
        pods = await self._pods_of(job)
        policy = job["spec"].get("podFailurePolicy")
        plan = plan_job(job, [_run_of(pod, policy) for pod in pods], self._clock.wall())
        if plan.remove:
            with contextlib.suppress(NotFound):
                options = DeleteOptions(uid=job["metadata"]["uid"], propagation=Propagation.BACKGROUND)
                await self._store.delete(JOB, key.name, key.namespace, options)
            return None
        await self._report(job, plan)
        await self._carry_out(job, plan)
        return plan.wait_s

    async def _pods_of(self, job: Json) -> list[Json]:
        uid = job["metadata"]["uid"]
        pods = []
        for kind, key in self._store.dependents(uid):
            if kind is POD:
                with contextlib.suppress(NotFound):
                    pods.append(await self._store.get(POD, key.name, key.namespace))
        return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]

    async def _report(self, job: Json, plan: JobPlan) -> None:
        """Before the Pods are marked: what is counted is never lost, what is marked is never counted twice."""
        status = {key: value for key, value in plan.status.items() if value is not None}
        if status == job.get("status"):
            return
        metadata = job["metadata"]

        def change(current: Json) -> Json:
            return {**current, "status": status} if current["metadata"]["uid"] == metadata["uid"] else current

        with contextlib.suppress(NotFound):
            await self._store.modify(JOB, metadata["name"], metadata["namespace"], change, "status")
        await self._tell(job, status)

    async def _tell(self, job: Json, status: Json) -> None:
        """Its end, and that it is held or goes on."""
        before = {(each["type"], each["status"]) for each in (job.get("status") or {}).get("conditions") or ()}
        for each in status.get("conditions") or ():
            if (each["type"], each["status"]) in before:
                continue
            if each["type"] == COMPLETE:
                await self._recorder.event(job, "Normal", "Completed", "Job completed")
            elif each["type"] == FAILED:
                await self._recorder.event(job, "Warning", each["reason"], each["message"])
            elif each["reason"] in ("JobSuspended", "JobResumed"):
                reason = "Suspended" if each["status"] == "True" else "Resumed"
                await self._recorder.event(job, "Normal", reason, each["message"])

    async def _carry_out(self, job: Json, plan: JobPlan) -> None:
        namespace = job["metadata"]["namespace"]
        for name in plan.count:
            with contextlib.suppress(NotFound):
                await self._store.modify(POD, name, namespace, _counted)
        for name in plan.stop:
            with contextlib.suppress(NotFound):
                await self._store.delete(POD, name, namespace, DeleteOptions())
            await self._recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        for index in plan.start:
            pod = await self._store.create(POD, make_pod(job, index))
            await self._recorder.event(job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")


def make_pod(job: Json, index: int | None = None) -> Json:
    """A Pod of the Job's template, to be named by the store: `<job>[-<index>]-<5 letters>`."""
    name, template = job["metadata"]["name"], job["spec"]["template"]
    given = template.get("metadata") or {}
    labels = {
        **(given.get("labels") or {}),
        **dict.fromkeys(JOB_NAME_LABELS, name),
        **dict.fromkeys(JOB_UID_LABELS, job["metadata"]["uid"]),
    }
    annotations = dict(given.get("annotations") or {})
    spec = template["spec"]
    base = name
    if index is not None:
        base = child_name(name, f"-{index}")
        labels[INDEX_ANNOTATION] = annotations[INDEX_ANNOTATION] = str(index)
        spec = {**spec, "hostname": spec.get("hostname") or base}
        for kind in ("initContainers", "containers"):
            if spec.get(kind):
                spec[kind] = [_numbered(container, index) for container in spec[kind]]
    metadata: Json = {
        "generateName": f"{base}-",
        "namespace": job["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(JOB, job).to_json()],
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def _numbered(container: Json, index: int) -> Json:
    env = container.get("env") or []
    if any(each["name"] == "JOB_COMPLETION_INDEX" for each in env):
        return container
    return {**container, "env": [{"name": "JOB_COMPLETION_INDEX", "value": str(index)}, *env]}


def _run_of(pod: Json, policy: Json | None) -> Run:
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    state = _STATES.get(status.get("phase", ""), RunState.ACTIVE)
    index = annotations.get(INDEX_ANNOTATION)
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return Run(
        name=metadata["name"],
        state=state,
        leaving="deletionTimestamp" in metadata,
        counted=annotations.get(COUNTED) == "true",
        ready=ready_since(pod) is not None,
        index=int(index) if index is not None else None,
        restarts=sum(each.get("restartCount") or 0 for each in statuses),
        finished=0.0 if state is RunState.ACTIVE else _finished(pod, statuses),
        verdict=judge(policy, pod) if state is RunState.FAILED else None,
    )


def _finished(pod: Json, statuses: Sequence[Json]) -> float:
    """When the last of its containers ended; for a Pod that never had one, when it was made."""
    ends = [epoch_of(((each.get("state") or {}).get("terminated") or {}).get("finishedAt") or "") for each in statuses]
    known = [end for end in ends if end is not None]
    return max(known) if known else epoch_of(pod["metadata"].get("creationTimestamp") or "") or 0.0


def _counted(pod: Json) -> Json:
    pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), COUNTED: "true"}
    return pod
