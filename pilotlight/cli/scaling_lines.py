"""What `top` and `explain` print of ScaledObjects and ScaledJobs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from core.resources.meta import Json
from core.settings.durations import format_duration

SCALED_HEADER: Final = ("NAMESPACE", "SCALEDOBJECT", "TARGET", "READY", "DESIRED", "TRIGGERS", "STATE")
_PLURALS: Final = {
    **dict.fromkeys(("scaledobject", "scaledobjects", "so"), "scaledobjects"),
    **dict.fromkeys(("scaledjob", "scaledjobs", "sj"), "scaledjobs"),
}


def scaled_named(name: str) -> tuple[str, str] | None:
    """(plural, NAME) of `scaledobject/NAME`, `so/NAME`, `scaledjob/NAME` and so on; None: that is something else."""
    kind, slash, rest = name.partition("/")
    plural = _PLURALS.get(kind.lower().removesuffix(".keda.sh"))
    return (plural, rest) if slash and plural is not None else None


def scaled_row(entry: Json) -> Sequence[str]:
    """Of the table in `top`."""
    return (
        entry["namespace"],
        entry["name"],
        entry["target"],
        str(entry["ready"]),
        "?" if entry["desired"] is None else str(entry["desired"]),
        " ".join(map(_trigger, entry["triggers"])) or "-",
        entry["state"],
    )


def scaled_explanation(answer: Json, last: int) -> Iterator[str]:
    """The last decisions, one line each, and when there will be another one."""
    if answer["problem"]:
        yield f"nothing is scaled: {answer['problem']}"
    decisions = answer["items"]
    for decision in decisions[-last:]:
        yield f"{clock_time(decision['until'])}  {decision['words']}"
    if not decisions:
        if not answer["problem"]:
            yield "no decision yet"
        return
    yield _next(decisions[-1], answer["now"], answer["pollingIntervalSeconds"])


def clock_time(wall: float) -> str:
    return datetime.fromtimestamp(wall).astimezone().strftime("%H:%M:%S")


def _next(decision: Json, now: float, polling_s: float) -> str:
    reading = f"when a trigger is read (every {format_duration(polling_s)} at the latest) and asks for something else"
    if decision.get("nextInSeconds") is None:
        return f"changes next {reading}"
    left_s = max(0.0, decision["nextInSeconds"] - (now - decision["until"]))
    return f"changes next in {format_duration(round(left_s, 1))} by itself, or {reading}"


def _trigger(trigger: Json) -> str:
    value = "?" if trigger["value"] is None else f"{trigger['value']:g}"
    target = "?" if trigger["target"] is None else f"{trigger['target']:g}"
    return f"{trigger['metric']}={value}/{target}" + ("!" if trigger["error"] else "")
