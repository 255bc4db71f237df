"""One ScaledObject under the loop: what is asked, what is seen, what was decided.

`loop` owns them all and is the only one that changes them; `facts` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.triggers.decide import Outcome, ScalingState
from autoscaler.triggers.decisions import DecisionLog
from autoscaler.triggers.documents import TargetKey
from autoscaler.triggers.sources import Owner
from autoscaler.triggers.spec import ScalingSpec
from core.resources.meta import Json, ObjectKey
from core.stats import RevisionKey
from scalers.readings import Trigger


@dataclass(frozen=True, slots=True)
class Plan:
    """What `controller` made of a document and of all that it refers to. Times are monotonic seconds."""

    key: ObjectKey
    reference: Json  # as much of the object as an Event needs
    spec: ScalingSpec
    target: TargetKey
    deployment: str = ""  # that carries the replicas; empty: there is none yet
    revision: RevisionKey | None = None  # of a target that requests drive, too
    triggers: Sequence[Trigger] = ()
    troubles: Mapping[int, str] = field(default_factory=dict)  # of triggers that cannot be read, by their index
    problem: str = ""  # why nothing is scaled
    created_at: float | None = None
    last_active: float | None = None  # of a platform before this one
    original: int | None = None  # replicas that it began with
    types: str = ""
    authentications: str = ""
    hpa: Json | None = None  # what stays the same of its HorizontalPodAutoscaler; None: there is to be none


class Scaled:
    """One of them."""

    __slots__ = (
        "floor",
        "history",
        "in_flight",
        "key",
        "late_s",
        "outcome",
        "owner",
        "plan",
        "ready",
        "replicas",
        "resumes_at",
        "scaled_at",
        "state",
        "writing",
    )

    def __init__(self, plan: Plan) -> None:
        self.key = plan.key
        self.owner = Owner("ScaledObject", plan.key)
        self.plan = plan
        self.state: ScalingState | None = None  # None until its target has been seen
        self.outcome: Outcome | None = None
        self.history = DecisionLog()
        self.replicas: int | None = None  # that the Deployment asks for
        self.ready = 0
        self.in_flight: int | None = None
        self.floor = 0  # what a revision was last told to have at least
        self.writing = False
        self.resumes_at = 0.0  # a pause ended shortly before that
        self.scaled_at: float | None = None  # wall seconds, by this platform
        self.late_s = 0.0  # from when its last reading was due until that was decided upon

    @property
    def paused(self) -> bool:
        """In one direction at least."""
        pause = self.plan.spec.pause
        return pause.holds or pause.scale_in or pause.scale_out

    @property
    def has(self) -> int | None:
        """How many there are by its own doing: of a revision, what requests ask for is not looked at."""
        return self.replicas if self.plan.revision is None else self.floor
