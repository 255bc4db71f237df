"""Documents of KEDA, judged and tried out: what `pilotlight scaler check` finds of a file.

The rules are those of the API server, the warnings its own; then each trigger is made as the platform makes it, and
read once. What a document refers to is looked for in the file, then in `beside`, a running platform.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from autoscaler.triggers.decide import Observed, begin, decide
from autoscaler.triggers.demand import demand_of
from autoscaler.triggers.documents import authentication_of, scaling_spec, triggers_of
from autoscaler.triggers.making import Maker, load_definition
from autoscaler.triggers.masking import masked
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import ScalingSpec
from core.apiserver.admission import FieldValidation, admit_create
from core.clock import Clock
from core.errors import AlreadyExists, ApiError, NotFound, PermanentError, TemporaryError
from core.resources.keda import SCALED_OBJECT
from core.resources.keda_auth import CLUSTER_TRIGGER_AUTHENTICATION, TRIGGER_AUTHENTICATION
from core.resources.keda_jobs import SCALED_JOB
from core.resources.kinds import KINDS
from core.resources.meta import AdmissionContext, Json, Kind, ObjectKey
from core.resources.serving import SERVICE
from core.resources.workloads import DEPLOYMENT
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from pilotlight.scaling_admission import ScalingAdmission
from pilotlight.scaling_wing import auth_places
from scalers.authentication import resolve
from scalers.base import World
from scalers.params import FROM_ENV, parse
from scalers.pools import Pools
from scalers.readings import Reading, Target, Trigger

READ_S: Final = 15.0
UNKNOWN_FIELD: Final = "unknown field "
KEDA_KINDS: Final = (SCALED_OBJECT, SCALED_JOB, TRIGGER_AUTHENTICATION, CLUSTER_TRIGGER_AUTHENTICATION)
INSIDE: Final = "measured inside a running platform, not here"

Beside = Callable[[Kind[Any], ObjectKey], Awaitable[Json]]
"""Where to look for what is not in the file. NotFound."""


@dataclass(frozen=True, slots=True)
class MetricReport:
    """One metric, as it was read. `active` None: not known."""

    name: str
    value: float
    target: float
    metric_type: str
    active: bool | None
    replicas: int | None
    note: str


@dataclass(frozen=True, slots=True)
class TriggerReport:
    """One trigger: what it measured, or why it did not."""

    path: str
    type: str
    metrics: Sequence[MetricReport] = ()
    errors: Sequence[str] = ()
    note: str = ""


@dataclass(slots=True)
class ObjectReport:
    """One ScaledObject or ScaledJob, or another document that was refused. `replicas` None: not known."""

    kind: str
    key: ObjectKey
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    triggers: list[TriggerReport] = field(default_factory=list)
    replicas: int | None = None
    least: int = 0
    most: int = 0

    @property
    def is_wrong(self) -> bool:
        return bool(self.errors) or any(trigger.errors for trigger in self.triggers)


class Checker:
    """`beside` None: there is only the file. `reads` False: nothing is read, and what is missing is no mistake."""

    def __init__(self, clock: Clock, namespace: str, beside: Beside | None = None, *, reads: bool = True) -> None:
        self._clock, self._namespace, self._reads = clock, namespace, reads
        self._store = _FileFirst(clock, beside)
        self._world = World(clock, self._store, StatisticBus(), Pools(), **auth_places())
        self._maker = Maker(self._world)

    async def check(self, documents: Iterable[Json]) -> list[ObjectReport]:
        """In the order of the file; what is neither a ScaledObject nor a ScaledJob is told of where it is wrong."""
        reports, scaled = [], []
        for document in documents:
            kind = _kind_of(document)
            report = ObjectReport(document.get("kind") or "?", self._key(document, kind))
            if kind is None:
                report.errors += _strange_version(document)
                reports += [report] if report.errors else []
                continue
            obj = await self._admit(kind, document, report)
            if kind in (SCALED_OBJECT, SCALED_JOB) or report.errors:
                reports.append(report)
            if kind in (SCALED_OBJECT, SCALED_JOB) and obj is not None:
                scaled.append((kind, obj, report))
        for kind, obj, report in scaled:
            if await self._judge(kind, obj, report):
                await self._try(kind, obj, report)
        return reports

    def _key(self, document: Json, kind: Kind[Any] | None) -> ObjectKey:
        metadata = document.get("metadata") or {}
        namespace = metadata.get("namespace") or self._namespace
        return ObjectKey(namespace if kind is None or kind.namespaced else "", metadata.get("name") or "")

    async def _admit(self, kind: Kind[Any], document: Json, report: ObjectReport) -> Json | None:
        """As the API server would; but Knative's kinds, whose defaults are a running platform's."""
        obj: Json = {**document, "metadata": {**(document.get("metadata") or {}), "namespace": report.key.namespace}}
        try:
            if kind is not SERVICE:
                admitted = admit_create(kind, obj, AdmissionContext(), FieldValidation.WARN)
                unknown = [each for each in admitted.warnings if each.startswith(UNKNOWN_FIELD)]
                report.errors += [f"{each}: kubectl apply refuses it" for each in unknown]
                report.warnings += [each for each in admitted.warnings if each not in unknown]
                obj = admitted.obj
            return await self._store.create(kind, obj)
        except AlreadyExists:
            report.errors.append("is in the file twice")
        except ApiError as error:
            report.errors += [str(cause) for cause in error.causes] or [error.message]
        return None

    async def _judge(self, kind: Kind[Any], obj: Json, report: ObjectReport) -> bool:
        """Whether it would stand."""
        verdict = await ScalingAdmission(self._store).judges[kind](obj, False)
        report.errors += map(str, verdict.errors)
        report.warnings += verdict.warnings
        return not verdict.errors

    async def _try(self, kind: Kind[Any], obj: Json, report: ObjectReport) -> None:
        samples: list[Sample] = []
        pods = await self._pods(kind, obj)
        for trigger in triggers_of(obj):
            tried, found = await self._try_trigger(trigger, authentication_of(obj, trigger.index), pods)
            report.triggers.append(tried)
            report.warnings = [each for each in report.warnings if not _is_said_by(tried, each)]
            samples += found
        if kind is SCALED_OBJECT:
            spec, now = scaling_spec(obj), self._clock.monotonic()
            report.least, report.most = spec.min_replicas, spec.max_replicas
            if samples and not any(trigger.errors or trigger.note for trigger in report.triggers):
                report.replicas = decide(spec, begin(spec, 0, now), Observed(0, 0, samples), now).desired

    async def _pods(self, kind: Kind[Any], obj: Json) -> Json | None:
        """The template of what is scaled: its environment is what `…FromEnv` names."""
        if kind is SCALED_JOB:
            template: Json = obj["spec"]["jobTargetRef"].get("template") or {}
            return template.get("spec")
        name = obj["spec"]["scaleTargetRef"]["name"]
        target = SERVICE if obj["spec"]["scaleTargetRef"].get("kind") == SERVICE.kind else DEPLOYMENT
        try:
            found = await self._store.get(target, name, obj["metadata"]["namespace"])
        except NotFound:
            return None
        spec: Json | None = ((found.get("spec") or {}).get("template") or {}).get("spec")
        return spec

    async def _try_trigger(
        self, trigger: Trigger, reference: Json | None, pods: Json | None
    ) -> tuple[TriggerReport, Sequence[Sample]]:
        report = TriggerReport(trigger.path, trigger.type)
        try:
            definition = await load_definition(trigger.type)
        except (PermanentError, ImportError) as error:
            return replace(report, errors=[f"{trigger.path}.type: {error}"]), ()
        try:
            resolved = await resolve(self._world, trigger, reference, pods)
        except (PermanentError, TemporaryError) as error:
            return (replace(report, errors=[str(error)]) if self._reads else replace(report, note=str(error))), ()
        trigger = replace(trigger, auth=resolved.auth, env=resolved.env, pod_identity=resolved.pod_identity)
        parameters = parse(definition.parameters, trigger)
        if isinstance(parameters, list):
            said = [masked(str(error), trigger) for error in parameters]
            if not self._reads and pods is None and any(name.endswith(FROM_ENV) for name in trigger.metadata):
                return replace(report, note="; ".join(said)), ()  # the target that has the variables is not here
            return replace(report, errors=said), ()
        if definition.inside:
            return replace(report, note=INSIDE), ()
        return await self._read(trigger, report)

    async def _read(self, trigger: Trigger, report: TriggerReport) -> tuple[TriggerReport, Sequence[Sample]]:
        try:
            found = await self._ask(trigger)
        except (PermanentError, TemporaryError) as error:
            return replace(report, errors=[masked(str(error), trigger)]), ()
        now = self._clock.monotonic()
        samples = [
            Sample(f"s{trigger.index}-{target.metric}", trigger.name, trigger.type, target, reading, read_at=now)
            for target, reading in found
        ]
        return replace(report, metrics=[_metric(sample, trigger) for sample in samples]), samples

    async def _ask(self, trigger: Trigger) -> list[tuple[Target, Reading]]:
        """Nothing where nothing is to be read. PermanentError, TemporaryError."""
        scaler = await self._maker.make(trigger)
        try:
            if not self._reads:
                return []
            async with asyncio.timeout(READ_S):
                targets = await scaler.targets()
                return list(zip(targets, await scaler.read(), strict=True))
        except TimeoutError:
            raise TemporaryError(f"{trigger.type} did not answer within {READ_S:g} s") from None
        finally:
            await scaler.close()


def _is_said_by(tried: TriggerReport, warning: str) -> bool:
    """Whether an error of the trigger says the same, of its parameters or of where its authenticationRef leads."""
    missing = f"{tried.path}.authenticationRef"
    return warning in tried.errors or (
        warning.startswith(missing) and any(error.startswith(missing) for error in tried.errors)
    )


def _metric(sample: Sample, trigger: Trigger) -> MetricReport:
    """What it would ask for where there is no replica yet."""
    demand = demand_of(ScalingSpec(), sample, 0, 0, sample.read_at)
    caveat = sample.reading.caveat if sample.reading else ""
    value, note = demand.value or 0.0, masked("; ".join(filter(None, (demand.note, caveat))), trigger)
    return MetricReport(
        sample.metric, value, demand.target, demand.metric_type.value, demand.active, demand.replicas, note
    )


class _FileFirst(MemoryStore):
    """What the file holds; else what is beside it."""

    def __init__(self, clock: Clock, beside: Beside | None) -> None:
        super().__init__(KINDS, clock)
        self._beside = beside

    async def get(self, kind: Kind[Any], name: str, namespace: str = "") -> Json:
        try:
            return await super().get(kind, name, namespace)
        except NotFound:
            if self._beside is None:
                raise
            return await self._beside(kind, ObjectKey(namespace, name))


def _strange_version(document: Json) -> list[str]:
    """Of a document that no kind of ours is: whether it is one of KEDA's all the same, as KEDA 1 had them."""
    version, name = document.get("apiVersion"), document.get("kind")
    declared = next((kind for kind in KEDA_KINDS if kind.kind == name), None)
    if declared is None:
        return []
    older = "; what KEDA 1 had as scaleTargetRef.deploymentName is its name now" if declared is SCALED_OBJECT else ""
    return [f"apiVersion: is {version!r}, must be {declared.api_version}{older}"]


def _kind_of(document: Json) -> Kind[Any] | None:
    """None: nothing that is asked of a scaler is in it."""
    wanted = (document.get("apiVersion"), document.get("kind"))
    return next((kind for kind in KINDS if (kind.api_version, kind.kind) == wanted), None)


def as_json(report: ObjectReport) -> Mapping[str, Any]:
    return {
        "kind": report.kind,
        "namespace": report.key.namespace,
        "name": report.key.name,
        "errors": report.errors,
        "warnings": report.warnings,
        "triggers": [_trigger_json(trigger) for trigger in report.triggers],
        "replicas": report.replicas,
    }


def _trigger_json(trigger: TriggerReport) -> Mapping[str, Any]:
    metrics = [
        {
            "name": metric.name,
            "value": metric.value,
            "target": metric.target,
            "metricType": metric.metric_type,
            "active": metric.active,
            "replicas": metric.replicas,
            "note": metric.note,
        }
        for metric in trigger.metrics
    ]
    return {
        "path": trigger.path,
        "type": trigger.type,
        "errors": list(trigger.errors),
        "note": trigger.note,
        "metrics": metrics,
    }
