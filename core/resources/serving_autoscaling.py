"""Bounds of the autoscaling annotations (knative.dev/serving/pkg/apis/autoscaling/annotation_validation.go).

Called by `serving_validation` for the metadata of a template; the messages are Knative's. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.resources import autoscaling_annotations as names
from core.resources.autoscaling_annotations import Annotation
from core.resources.knative_errors import Errors, generic, invalid, out_of_bounds
from core.settings.autoscaler import AutoscalerSettings
from core.settings.durations import format_duration, parse_duration

INT32_MAX = 2**31 - 1
WINDOW_MIN_S, WINDOW_MAX_S = 6.0, 3600.0
TARGET_MIN = 0.01
ALGORITHMS = ("linear", "weighted-exponential", "weightedExponential")
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Annotations = Mapping[str, str]


def validate_autoscaling(annotations: Annotations, settings: AutoscalerSettings) -> Errors:
    """Paths are the annotations as the user spelled them."""
    return [
        *_validate_class(annotations),
        *_validate_scales(annotations, settings),
        *_validate_numbers(annotations),
        *_validate_durations(annotations),
        *_validate_metric(annotations),
        *_validate_initial_scale(annotations, settings),
    ]


def _validate_class(annotations: Annotations) -> Errors:
    found = names.CLASS.find(annotations)
    if found and found[1].endswith(".knative.dev") and found[1] not in (names.KPA_CLASS, names.HPA_CLASS):
        return invalid(found[1], found[0])
    return []


def _validate_scales(annotations: Annotations, settings: AutoscalerSettings) -> Errors:
    minimum, errors = _scale(names.MIN_SCALE, annotations)
    maximum, more = _scale(names.MAX_SCALE, annotations)
    errors += more
    if maximum and maximum < minimum:
        message = f"max-scale={maximum} is less than min-scale={minimum}"
        errors += generic(message, names.MAX_SCALE.name, names.MIN_SCALE.name)
    given = names.MAX_SCALE.find(annotations)
    limit = settings.max_scale_limit
    if given and limit:
        if maximum > limit:
            errors += out_of_bounds(maximum, 1, limit, given[0])
        if maximum == 0:
            errors += generic(f"max-scale=0 (unlimited), must be less than {limit}", given[0])
    return errors + _validate_activation_scale(annotations, minimum, maximum)


def _validate_activation_scale(annotations: Annotations, minimum: int, maximum: int) -> Errors:
    found = names.ACTIVATION_SCALE.find(annotations)
    if found is None:
        return []
    key, text = found
    if not _WHOLE.fullmatch(text) or abs(int(text)) > INT32_MAX:
        return invalid(text, key)
    activation = int(text)
    if minimum > activation:
        return generic(f"min-scale={minimum} is greater than activation-scale={activation}", key)
    if maximum and maximum < activation:
        return generic(f"max-scale={maximum} is less than activation-scale={activation}", key)
    if activation < 2:
        return generic(f"activation-scale={activation} must be greater than 1", key)
    return []


def _scale(annotation: Annotation, annotations: Annotations) -> tuple[int, Errors]:
    """The number, 0 where there is none or it is wrong."""
    found = annotation.find(annotations)
    if found is None:
        return 0, []
    key, text = found
    if not _WHOLE.fullmatch(text):
        return 0, invalid(text, key)
    if not 0 <= int(text) <= INT32_MAX:
        return 0, out_of_bounds(text, 0, INT32_MAX, key)
    return int(text), []


def _validate_numbers(annotations: Annotations) -> Errors:
    errors: Errors = []
    for annotation, lower, upper in (
        (names.PANIC_WINDOW_PERCENTAGE, 1, 100),
        (names.PANIC_THRESHOLD_PERCENTAGE, 110, 1000),
        (names.TARGET_UTILIZATION_PERCENTAGE, 1, 100),
    ):
        value, found, wrong = _number(annotation, annotations)
        errors += wrong
        if found and value is not None and not lower <= value <= upper:
            errors += out_of_bounds(found[1], lower, upper, found[0])
    value, found, wrong = _number(names.TARGET, annotations)
    errors += wrong
    if found and value is not None and value < TARGET_MIN:
        errors += generic(f"target {found[1]} should be at least {TARGET_MIN:g}", found[0])
    value, found, wrong = _number(names.TARGET_BURST_CAPACITY, annotations)
    errors += wrong
    if found and value is not None and value < 0 and value != -1:
        errors += invalid(found[1], found[0])
    return errors


def _number(annotation: Annotation, annotations: Annotations) -> tuple[float | None, tuple[str, str] | None, Errors]:
    found = annotation.find(annotations)
    if found is None:
        return None, None, []
    if not _DECIMAL.fullmatch(found[1]):
        return None, found, invalid(found[1], found[0])
    return float(found[1]), found, []


def _validate_durations(annotations: Annotations) -> Errors:
    return [
        *_validate_duration(names.WINDOW, annotations, WINDOW_MIN_S, is_whole=True),
        *_validate_duration(names.SCALE_TO_ZERO_POD_RETENTION_PERIOD, annotations, 0.0, is_whole=False),
        *_validate_duration(names.SCALE_DOWN_DELAY, annotations, 0.0, is_whole=True),
    ]


def _validate_duration(annotation: Annotation, annotations: Annotations, lower: float, is_whole: bool) -> Errors:
    found = annotation.find(annotations)
    if found is None:
        return []
    key, text = found
    try:
        seconds = parse_duration(text)
    except ValueError:
        return invalid(text, key)
    if not lower <= seconds <= WINDOW_MAX_S:
        return out_of_bounds(text, format_duration(lower), format_duration(WINDOW_MAX_S), key)
    if is_whole and seconds != int(seconds):
        return generic("must be specified with at most second precision", key)
    return []


def _validate_metric(annotations: Annotations) -> Errors:
    scaler = names.CLASS.get(annotations) or names.KPA_CLASS
    errors: Errors = []
    found = names.METRIC.find(annotations)
    if found:
        known = (names.CONCURRENCY_METRIC, names.RPS_METRIC)
        is_wrong = found[1] not in known if scaler == names.KPA_CLASS else scaler == names.HPA_CLASS and not found[1]
        errors += invalid(found[1], names.METRIC.name) if is_wrong else []
    algorithm = names.METRIC_AGGREGATION_ALGORITHM.find(annotations)
    if (
        algorithm
        and algorithm[1]
        and names.CLASS.get(annotations) == names.KPA_CLASS
        and algorithm[1] not in ALGORITHMS
    ):
        errors += invalid(algorithm[1], algorithm[0])
    return errors


def _validate_initial_scale(annotations: Annotations, settings: AutoscalerSettings) -> Errors:
    found = names.INITIAL_SCALE.find(annotations)
    if found is None:
        return []
    key, text = found
    if not _WHOLE.fullmatch(text):
        return invalid(text, key)
    if int(text) < 0:
        return invalid(text, f"{key} must be greater than 0")
    if int(text) == 0 and not settings.allow_zero_initial_scale:
        return invalid(text, f"{key}=0 not allowed by cluster")
    return []
