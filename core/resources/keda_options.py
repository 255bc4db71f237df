"""What users say to KEDA's kinds by annotation: read, checked, hinted at.

Admission calls `check_options` and `warn_options`; whoever scales calls `read_options`. A truth value is read as KEDA
reads it: a text that is none counts as true. Pure.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.errors import FieldError
from core.resources import keda_annotations as names
from core.resources.keda_defaults import POLLING_INTERVAL_S
from core.resources.meta import Json
from core.resources.pilotlight import PREFIX
from core.resources.problems import invalid
from core.settings.durations import parse_duration

POLLING_INTERVAL_MIN_S: Final = 0.2
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")
_TRUTHS: Final = (names.PAUSED, names.PAUSED_SCALE_IN, names.PAUSED_SCALE_OUT, names.FORCE_ACTIVATION)
_OURS: Final = (names.POLLING_INTERVAL, names.DRAIN_TIME)
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_INTERVAL_ALLOWED: Final = f"must be a duration of at least {POLLING_INTERVAL_MIN_S:g}s, such as 200ms or 1.5s"
_DRAIN_ALLOWED: Final = "must be a duration above zero, such as 30s or 2m"
_COUNT_ALLOWED: Final = "must be a whole number of at least 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingOptions:
    """All that annotations say, and the polling interval from wherever it is said."""

    polling_interval_s: float = POLLING_INTERVAL_S
    drain_time_s: float | None = None
    paused: bool = False
    paused_replicas: int | None = None  # wins over `paused`
    paused_scale_in: bool = False
    paused_scale_out: bool = False
    forced: bool = False


def read_options(obj: Json) -> ScalingOptions:
    """Of a ScaledObject or ScaledJob; what cannot be read counts as not said."""
    said = obj["metadata"].get("annotations") or {}
    interval = obj["spec"].get("pollingInterval")
    return ScalingOptions(
        polling_interval_s=_interval(said) or float(POLLING_INTERVAL_S if interval is None else interval),
        drain_time_s=_drain_time(said),
        paused=truth(said, names.PAUSED),
        paused_replicas=_count(said),
        paused_scale_in=truth(said, names.PAUSED_SCALE_IN),
        paused_scale_out=truth(said, names.PAUSED_SCALE_OUT),
        forced=truth(said, names.FORCE_ACTIVATION),
    )


def truth(annotations: Mapping[str, str], name: str) -> bool:
    """Whether it is there and not false."""
    return name in annotations and annotations[name] not in _FALSE


def check_options(obj: Json) -> list[FieldError]:
    """Numbers and durations that cannot be read."""
    said = obj["metadata"].get("annotations") or {}
    found = (
        (names.POLLING_INTERVAL, _interval(said), _INTERVAL_ALLOWED),
        (names.DRAIN_TIME, _drain_time(said), _DRAIN_ALLOWED),
        (names.PAUSED_REPLICAS, _count(said), _COUNT_ALLOWED),
    )
    return [
        invalid(f"metadata.annotations[{name}]", said[name], allowed)
        for name, value, allowed in found
        if name in said and value is None
    ]


def warn_options(obj: Json) -> list[str]:
    """Texts that count as true and are not, and names of ours that nobody reads."""
    said = obj["metadata"].get("annotations") or {}
    warnings = [
        f"metadata.annotations[{name}]: {said[name]!r} is neither true nor false and counts as true"
        for name in _TRUTHS
        if name in said and said[name] not in _TRUE + _FALSE
    ]
    if names.POLLING_INTERVAL in said and obj["spec"].get("pollingInterval") is not None:
        warnings.append(f"spec.pollingInterval: has no effect, metadata.annotations[{names.POLLING_INTERVAL}] wins")
    return warnings + [_stranger(name) for name in said if name.startswith(PREFIX) and name not in _OURS]


def _stranger(name: str) -> str:
    near = difflib.get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in _OURS], n=1)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
    return f"metadata.annotations[{name}]: has no effect on this kind{hint}"


def _interval(said: Mapping[str, str]) -> float | None:
    return _duration(said.get(names.POLLING_INTERVAL), POLLING_INTERVAL_MIN_S)


def _drain_time(said: Mapping[str, str]) -> float | None:
    return _duration(said.get(names.DRAIN_TIME), math.ulp(0.0))


def _duration(text: str | None, minimum_s: float) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        return None
    return seconds if seconds >= minimum_s else None


def _count(said: Mapping[str, str]) -> int | None:
    text = said.get(names.PAUSED_REPLICAS, "").strip()
    return int(text) if _COUNT.fullmatch(text) else None
