"""What is known of each metric when a decision is made: the last good reading, its age, and what went wrong since."""

from __future__ import annotations

from dataclasses import dataclass

from scalers.readings import Reading, Target


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric of one trigger. Times are monotonic seconds.

    `failures` counts polls, not questions: consecutive ones that brought nothing. A push counts as nothing but a reason
    to read.
    """

    metric: str  # `s0-kafka-orders`
    trigger: str  # its name, where it has one
    type: str
    target: Target | None  # None: the source did not even say what it is to be held at
    reading: Reading | None = None  # the last good one; None: never
    read_at: float = 0.0
    failures: int = 0
    error: str = ""  # of the last attempt; empty where it brought a reading
    pushed: bool = False  # the source says that there is work, and nothing newer was read

    @property
    def fresh(self) -> bool:
        """The last attempt brought a reading."""
        return self.reading is not None and not self.error
