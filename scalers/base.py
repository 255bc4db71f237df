"""What a scaler is, and what it may use. `registry` names them all; `autoscaler` asks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar, runtime_checkable

from core.clock import Clock
from core.stats import Backlogs, NoUsage, StatisticBus, Usage
from core.store.base import Store
from scalers.auth.answers import Answers
from scalers.params import Parameters
from scalers.pools import Pools
from scalers.readings import Reading, Target, Trigger

KEDA_NAMESPACE: Final = "keda"


class Scaler(Protocol):
    """One trigger's eyes. Made without effect: what it needs is opened when it is first asked."""

    async def targets(self) -> Sequence[Target]:
        """The numbers that it is scaled by: at least one. TemporaryError, PermanentError."""

    async def read(self) -> Sequence[Reading]:
        """One reading for each target, in the same order. TemporaryError, PermanentError: nothing is known."""

    async def close(self) -> None:
        """Gives back what it holds. Called once, also where nothing was ever read."""


Tell = Callable[[bool], None]


@runtime_checkable
class Pushing(Protocol):
    """A scaler that hears of work by itself."""

    async def run(self, tell: Tell) -> None:
        """Until cancelled: `tell(True)` when there is work, `tell(False)` when there is none any more; whoever hears it
        reads. TemporaryError: the stream broke, and is wanted again."""


@dataclass(frozen=True, slots=True)
class World:
    """What scalers share. `pools` keep one connection per cluster and credential.

    `auth_namespace` is where a ClusterTriggerAuthentication has its Secrets, `auth_files` the folder of its files.
    """

    clock: Clock
    store: Store
    statistics: StatisticBus
    pools: Pools
    usage: Usage = field(default_factory=NoUsage)
    backlogs: Backlogs = field(default_factory=Backlogs)
    answers: Answers = field(default_factory=Answers)
    auth_namespace: str = KEDA_NAMESPACE
    auth_files: Path | None = None


C = TypeVar("C", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Definition(Generic[C]):
    """What a scaler's file offers: its parameters, and how one is made of them.

    `check` finds what is wrong with the parameters of a trigger as a whole, where the parameters' own rules do not
    reach: it sees the trigger (PermanentError names the field). What is measured `inside` a platform can be served
    to no other.
    """

    parameters: type[C]
    make: Callable[[C, Trigger, World], Scaler]
    summary: str
    extra: str = ""  # the extra of `pip install pilotlight[…]` that brings its client
    check: Callable[[C, Trigger], None] | None = None
    inside: bool = False


AnyDefinition = Definition[Any]
