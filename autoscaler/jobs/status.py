"""What a ScaledJob's status and events say, with KEDA's reasons (controllers/keda/scaledjob_controller.go). Pure.

Ready     True     ScaledJobReady
          False    ScaledJobCheckFailed   no trigger has a scaler: they cannot mean what they say
          False    TriggerError           nothing can be read
          Unknown  PartialTriggerError    some triggers cannot be read
Active    True     ScalerActive
          False    ScalerNotActive        also where nothing can be read: no Jobs are made
          Unknown  UnknownState           some triggers cannot be read and others have no work, or nothing was read yet
Paused    True     ScaledJobPaused
          False    ScaledJobUnpaused
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from core.resources.conditions import FALSE, TRUE, UNKNOWN
from core.resources.keda import ACTIVE, PAUSED_CONDITION, READY
from core.resources.meta import Json
from core.resources.timestamps import rfc3339

READY_REASON: Final = "ScaledJobReady"
READY_MESSAGE: Final = "ScaledJob is defined correctly and is ready to scaling"
CHECK_FAILED: Final = "ScaledJobCheckFailed"
CHECK_FAILED_MESSAGE: Final = "Failed to ensure ScaledJob is correctly created"
TRIGGER_ERROR: Final = "TriggerError"
ERROR_MESSAGE: Final = "Triggers defined in ScaledJob are not working correctly"
SCALERS_STARTED: Final = "KEDAScalersStarted"
PARTIAL_ERROR: Final = "PartialTriggerError"
PARTIAL_MESSAGE: Final = "Some triggers defined in ScaledJob are not working correctly"
PAUSED: Final = "ScaledJobPaused"
UNPAUSED: Final = "ScaledJobUnpaused"
SCALER_FAILED: Final = "KEDAScalerFailed"
JOBS_CREATED: Final = "KEDAJobsCreated"
CREATE_FAILED: Final = "KEDAJobCreateFailed"


class Announcement(NamedTuple):
    """One Event."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that there is to tell. `errors` are by metric, `built` are the types whose scalers stand; `active_at` is in
    wall seconds."""

    triggers: int = 0
    errors: tuple[tuple[str, str], ...] = ()
    built: tuple[str, ...] = ()
    active: bool | None = None
    paused: bool = False
    types: str = ""
    authentications: str = ""
    active_at: float | None = None

    @property
    def begun(self) -> bool:
        """Something is known of its triggers, be it an error."""
        return bool(self.built or self.errors)

    @property
    def all_fail(self) -> bool:
        return bool(self.errors) and len(self.errors) >= self.triggers

    @property
    def unfit(self) -> bool:
        """No trigger has a scaler, nor will have one as it is."""
        return self.all_fail and not self.built

    @property
    def words(self) -> str:
        return "; ".join(f"{metric}: {error}" for metric, error in self.errors)


def status_of(facts: Facts, before: Json) -> Json:
    """The new status; `before` is the old one."""
    told: Json = {
        "conditions": [_condition(READY, _ready(facts)), _condition(ACTIVE, _active(facts)), _paused(facts)],
        "triggersTypes": facts.types or None,
        "authenticationsTypes": facts.authentications or None,
        "lastActiveTime": rfc3339(facts.active_at) if facts.active_at is not None else before.get("lastActiveTime"),
    }
    return {**before, **{name: value for name, value in told.items() if value is not None}}


def announce(before: Facts | None, now: Facts) -> Iterator[Announcement]:
    """What is to be said after a change; `before` None: nothing was told yet."""
    yield from _started(before, now)
    known = dict(before.errors) if before else {}
    for metric, error in now.errors:
        if metric not in known:
            yield Announcement("Warning", SCALER_FAILED, f"{metric}: {error}")
    if now.unfit and not (before and before.unfit):
        yield Announcement("Warning", CHECK_FAILED, CHECK_FAILED_MESSAGE)
    if not now.errors and now.active is not None and (before is None or before.errors or before.active is None):
        yield Announcement("Normal", READY_REASON, "ScaledJob is ready for scaling")
    if now.paused and not (before and before.paused):
        yield Announcement("Normal", PAUSED, "ScaledJob is paused")
    elif before and before.paused and not now.paused:
        yield Announcement("Normal", UNPAUSED, "ScaledJob is unpaused")


def _started(before: Facts | None, now: Facts) -> Iterator[Announcement]:
    """Scalers that have come to stand, and that they are asked from now on."""
    for type_ in now.built:
        if before is None or type_ not in before.built:
            yield Announcement("Normal", SCALERS_STARTED, f"Scaler {type_} is built")
    if now.begun and not (before and before.begun):
        yield Announcement("Normal", SCALERS_STARTED, "Started scalers watch")


def _ready(facts: Facts) -> tuple[str, str, str]:
    if not facts.errors:
        return TRUE, READY_REASON, READY_MESSAGE
    if facts.unfit:
        return FALSE, CHECK_FAILED, f"{CHECK_FAILED_MESSAGE}: {facts.words}"
    if facts.all_fail:
        return FALSE, TRIGGER_ERROR, f"{ERROR_MESSAGE}: {facts.words}"
    return UNKNOWN, PARTIAL_ERROR, f"{PARTIAL_MESSAGE}: {facts.words}"


def _active(facts: Facts) -> tuple[str, str, str]:
    if facts.unfit:
        return UNKNOWN, "UnknownState", "ScaledJob check failed"
    if facts.active is None and facts.all_fail:
        return FALSE, "ScalerNotActive", "Scaling is not performed because no trigger can be read"
    if facts.active is None:
        return UNKNOWN, "UnknownState", "Whether there is work is not known yet: not every trigger could be read"
    if facts.active:
        return TRUE, "ScalerActive", "Scaling is performed because triggers are active"
    return FALSE, "ScalerNotActive", "Scaling is not performed because triggers are not active"


def _paused(facts: Facts) -> Json:
    if facts.paused:
        return _condition(PAUSED_CONDITION, (TRUE, PAUSED, "ScaledJob is paused"))
    return _condition(PAUSED_CONDITION, (FALSE, UNPAUSED, "ScaledJob is not paused"))


def _condition(kind: str, told: tuple[str, str, str]) -> Json:
    status, reason, message = told
    return {"type": kind, "status": status, "reason": reason, "message": message}
