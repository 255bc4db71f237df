"""KEDA's Prometheus metrics, of ScaledObjects and ScaledJobs, as text (pkg/metricscollector/prommetrics.go). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from autoscaler.triggers.sources import Source
from core.resources.meta import ObjectKey

Labels = Mapping[str, str]

SCALED_OBJECT, SCALED_JOB = "scaledobject", "scaledjob"
"""Types, as upstream's label `type` has them."""


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[Labels, float]]


@dataclass(frozen=True, slots=True)
class Subject:
    """One ScaledObject or ScaledJob with its triggers. `late_s`: from when one was due until that was decided upon."""

    type: str
    key: ObjectKey
    sources: Sequence[Source]
    late_s: float
    paused: bool = False  # upstream tells it of ScaledObjects


def families(
    subjects: Iterable[Subject], registered: Mapping[tuple[str, str], int], version: str, now: float
) -> Iterator[Family]:
    """Of all there are. `registered`: how many objects by upstream's word for their kind, and namespace; `now` is
    monotonic."""
    found = list(subjects)
    triggers = [(_labels(subject, source), source) for subject in found for source in subject.sources]
    yield Family("keda_build_info", "gauge", "Whose metrics these are.", [({"version": version}, 1.0)])
    yield _gauge(
        "keda_scaler_metrics_value",
        "The value of each trigger's metric, as it was read last.",
        (
            ({**labels, "metric": sample.metric}, sample.reading.value)
            for labels, source in triggers
            for sample in source.samples(now)
            if sample.reading is not None
        ),
    )
    yield _gauge(
        "keda_scaler_active",
        "Whether a trigger is active (1), or not (0).",
        (
            ({**labels, "metric": sample.metric}, float(sample.reading.activity > sample.target.activation))
            for labels, source in triggers
            for sample in source.samples(now)
            if sample.reading is not None and sample.target is not None
        ),
    )
    yield _gauge(
        "keda_scaler_metrics_latency_seconds",
        "How long the last reading took.",
        ((_first_metric(labels, source, now), source.took_s) for labels, source in triggers if source.readings),
    )
    yield Family(
        "keda_scaler_detail_errors_total",
        "counter",
        "Readings that failed, by trigger.",
        [(_first_metric(labels, source, now), float(source.errors)) for labels, source in triggers],
    )
    yield from _of_subjects(found)
    types = Counter(source.trigger.type for _, source in triggers)
    by_type = [({"type": type_}, float(count)) for type_, count in sorted(types.items())]
    yield Family("keda_trigger_registered_total", "gauge", "Triggers, by type.", by_type)
    objects = [
        ({"type": kind, "namespace": namespace}, float(count))
        for (kind, namespace), count in sorted(registered.items())
    ]
    yield Family("keda_resource_registered_total", "gauge", "Objects of KEDA's kinds, by namespace.", objects)


def _of_subjects(found: Sequence[Subject]) -> Iterator[Family]:
    for type_, name, label, kind in (
        (SCALED_OBJECT, "keda_scaled_object_errors_total", "scaledObject", "ScaledObject"),
        (SCALED_JOB, "keda_scaled_job_errors_total", "scaledJob", "ScaledJob"),
    ):
        errors = [
            ({"namespace": each.key.namespace, label: each.key.name}, float(sum(one.errors for one in each.sources)))
            for each in found
            if each.type == type_
        ]
        yield Family(name, "counter", f"Readings that failed, by {kind}.", errors)
    paused = [
        ({"namespace": each.key.namespace, "scaledObject": each.key.name}, float(each.paused))
        for each in found
        if each.type == SCALED_OBJECT
    ]
    yield Family("keda_scaled_object_paused", "gauge", "Whether a ScaledObject is paused (1), or not (0).", paused)
    late = [
        ({"namespace": each.key.namespace, "type": each.type, "resource": each.key.name}, each.late_s) for each in found
    ]
    told = "From when a trigger was due to be read until that was decided upon, the last time."
    yield Family("keda_internal_scale_loop_latency_seconds", "gauge", told, late)


def exposition(found: Iterable[Family]) -> str:
    """The Prometheus text format (version 0.0.4)."""
    lines: list[str] = []
    for family in found:
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        lines += [f"{family.name}{{{_spell(labels)}}} {value:.10g}" for labels, value in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _gauge(name: str, help: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    return Family(name, "gauge", help, list(samples))


def _labels(subject: Subject, source: Source) -> dict[str, str]:
    """Upstream has the name of a ScaledJob in the label `scaledObject`, too; `type` tells them apart."""
    trigger = source.trigger
    return {
        "namespace": subject.key.namespace,
        "scaledObject": subject.key.name,
        "scaler": trigger.name or f"{trigger.type}Scaler",
        "triggerIndex": str(trigger.index),
        "type": subject.type,
    }


def _first_metric(labels: Labels, source: Source, now: float) -> Labels:
    return {**labels, "metric": source.samples(now)[0].metric}


def _spell(labels: Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
