"""KEDA's Prometheus metrics of ScaledObjects, by their names (pkg/metricscollector/prommetrics.go), as text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autoscaler.triggers.scaled import Scaled
from autoscaler.triggers.sources import Source

Labels = Mapping[str, str]

_TYPE: Final = "scaledobject"


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[Labels, float]]


def families(objects: Iterable[tuple[Scaled, Sequence[Source]]], version: str, now: float) -> Iterator[Family]:
    """Of all ScaledObjects with their triggers; `now` is monotonic."""
    found = list(objects)
    triggers = [(_labels(scaled, source), source) for scaled, sources in found for source in sources]
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
    yield from _of_objects(found)


def _of_objects(found: Sequence[tuple[Scaled, Sequence[Source]]]) -> Iterator[Family]:
    errors = [(_named(scaled), float(sum(source.errors for source in sources))) for scaled, sources in found]
    yield Family("keda_scaled_object_errors_total", "counter", "Readings that failed, by ScaledObject.", errors)
    paused = [(_named(scaled), float(scaled.paused)) for scaled, _ in found]
    yield Family("keda_scaled_object_paused", "gauge", "Whether a ScaledObject is paused (1), or not (0).", paused)
    late = [
        ({"namespace": scaled.key.namespace, "type": _TYPE, "resource": scaled.key.name}, scaled.late_s)
        for scaled, _ in found
    ]
    told = "From when a trigger was due to be read until that was decided upon, the last time."
    yield Family("keda_internal_scale_loop_latency_seconds", "gauge", told, late)
    types = Counter(source.trigger.type for _, sources in found for source in sources)
    by_type = [({"type": type_}, float(count)) for type_, count in sorted(types.items())]
    yield Family("keda_trigger_registered_total", "gauge", "Triggers, by type.", by_type)
    namespaces = Counter(scaled.key.namespace for scaled, _ in found)
    objects = [({"type": "scaled_object", "namespace": name}, float(n)) for name, n in sorted(namespaces.items())]
    yield Family("keda_resource_registered_total", "gauge", "Objects of KEDA's kinds, by namespace.", objects)


def exposition(found: Iterable[Family]) -> str:
    """The Prometheus text format (version 0.0.4)."""
    lines: list[str] = []
    for family in found:
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}"]
        lines += [f"{family.name}{{{_spell(labels)}}} {value:.10g}" for labels, value in family.samples]
    return "".join(f"{line}\n" for line in lines)


def _named(scaled: Scaled) -> Labels:
    return {"namespace": scaled.key.namespace, "scaledObject": scaled.key.name}


def _gauge(name: str, help: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    return Family(name, "gauge", help, list(samples))


def _labels(scaled: Scaled, source: Source) -> dict[str, str]:
    trigger = source.trigger
    return {
        "namespace": scaled.key.namespace,
        "scaledObject": scaled.key.name,
        "scaler": trigger.name or f"{trigger.type}Scaler",
        "triggerIndex": str(trigger.index),
        "type": _TYPE,
    }


def _first_metric(labels: Labels, source: Source, now: float) -> Labels:
    return {**labels, "metric": source.samples(now)[0].metric}


def _spell(labels: Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
