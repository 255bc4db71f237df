"""Our scalers as an external scaler of a KEDA: what `pilotlight scaler serve` answers.

The ScaledObject's metadata names one of them (`scalerType: kafka`) beside its own parameters. What KEDA knows by
IsActive and GetMetrics comes from one reading; what is not known is an error, never a zero or an idle trigger. What our
own loop does besides is put into the value: more replicas than there are partitions are not asked for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from autoscaler.triggers.making import Maker, load_definition
from autoscaler.triggers.masking import masked
from core.clients.external_scaler_messages import MetricSpec, MetricValue, ScaledObjectRef
from core.errors import PermanentError, TemporaryError
from core.resources.meta import ObjectKey
from core.tasks import Started
from scalers.base import AnyDefinition, Pushing, Scaler, World
from scalers.params import FROM_ENV
from scalers.readings import Quality, Reading, Target, Trigger

log = structlog.get_logger()

TYPE_KEY: Final = "scalerType"
AUTHENTICATION_KEY: Final = "scalerAuthentication"
FRESH_S: Final = 1.0
"""KEDA asks for the metric and for activity one after the other: one reading serves both."""
READ_S: Final = 10.0
UNUSED_S: Final = 900.0
"""A scaler that nobody has asked for so long lets go of its connections."""
SCALERS_MAX: Final = 10_000


@dataclass(slots=True, eq=False)
class _Lent:
    """One trigger of one ScaledObject."""

    trigger: Trigger
    scaler: Scaler
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_at: float = -math.inf
    asked_at: float = 0.0
    found: Sequence[tuple[Target, Reading]] = ()
    whole: dict[str, float] = field(default_factory=dict)  # metric → what it was when all of it was read
    news: asyncio.Event = field(default_factory=asyncio.Event)  # it says that there is something to read
    active: bool | None = None  # None: not known yet
    listeners: set[asyncio.Event] = field(default_factory=set)
    watch: asyncio.Task[None] | None = None


class ScalerService:
    """`core.clients.external_scaler_server.Service`. `secrets` holds a folder of files for each name that metadata may
    refer to; `interval_s` is how often a scaler that cannot push is read while KEDA listens to it."""

    def __init__(self, world: World, secrets: Path | None = None, interval_s: float = 1.0) -> None:
        self._world, self._secrets, self._interval_s = world, secrets, interval_s
        self._maker = Maker(world, self._look_up)
        self._lent: dict[tuple[str, str, frozenset[tuple[str, str]]], _Lent] = {}

    async def run(self, started: Started) -> None:
        """Until canceled; then everything is closed."""
        async with asyncio.TaskGroup() as self._group:
            started()
            try:
                while True:
                    await self._world.clock.sleep(UNUSED_S / 10)
                    await self._let_go(self._world.clock.monotonic() - UNUSED_S)
            finally:
                await self._let_go(math.inf)

    async def _let_go(self, before: float) -> None:
        """Of what nobody has asked for since."""
        for key, lent in list(self._lent.items()):
            if lent.asked_at < before and (not lent.listeners or before == math.inf):
                del self._lent[key]
                if lent.watch is not None:
                    lent.watch.cancel()
                await lent.scaler.close()

    async def metric_specs(self, ref: ScaledObjectRef) -> Sequence[MetricSpec]:
        lent = await self._of(ref)
        try:
            targets = await lent.scaler.targets()
        except (PermanentError, TemporaryError) as error:
            raise _masked(error, lent.trigger) from None
        return [MetricSpec(each.metric, max(1, math.ceil(each.value)), each.value) for each in targets]

    async def is_active(self, ref: ScaledObjectRef) -> bool:
        return _activity(await self._read(await self._of(ref)))

    async def metrics(self, ref: ScaledObjectRef, metric: str) -> Sequence[MetricValue]:
        lent = await self._of(ref)
        for target, reading in await self._read(lent):
            if target.metric == metric:
                value = _bounded(target, reading)
                if reading.quality is Quality.PARTIAL and value <= lent.whole.get(metric, math.inf):
                    raise TemporaryError(f"only a part of {metric} could be read: {reading.note or 'at least so much'}")
                return [MetricValue(metric, math.ceil(value), value)]
        raise PermanentError(f"{lent.trigger.type} has no metric {metric!r}", "NoMetric")

    async def activity(self, ref: ScaledObjectRef) -> AsyncGenerator[bool]:
        """Now, and at each change. Errors are waited out: KEDA hears of them by its own questions."""
        lent, changed, told = await self._of(ref), asyncio.Event(), None
        lent.listeners.add(changed)
        if lent.watch is None:
            lent.watch = self._group.create_task(self._watch(lent))
        try:
            while True:
                changed.clear()
                if lent.active is not None and lent.active is not told:
                    told = lent.active
                    yield told
                else:
                    await changed.wait()
        finally:
            lent.listeners.discard(changed)
            if not lent.listeners and lent.watch is not None:
                lent.watch.cancel()
                lent.watch = None

    async def _watch(self, lent: _Lent) -> None:
        """While somebody listens."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(lent))
            while True:
                lent.news.clear()
                with suppress(PermanentError, TemporaryError):
                    lent.active = _activity(await self._read(lent, 0.0))
                    for changed in lent.listeners:
                        changed.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await lent.news.wait()

    async def _hear(self, lent: _Lent) -> None:
        """What can push is read when it does, besides."""
        while isinstance(lent.scaler, Pushing):
            with suppress(PermanentError, TemporaryError):
                await lent.scaler.run(lambda active: lent.news.set())
            await self._world.clock.sleep(self._interval_s)

    async def _of(self, ref: ScaledObjectRef) -> _Lent:
        key = (ref.namespace, ref.name, frozenset(ref.metadata.items()))
        lent = self._lent.get(key)
        if lent is None:
            if len(self._lent) >= SCALERS_MAX:
                raise TemporaryError(f"{SCALERS_MAX} triggers are served already")
            trigger = await self._trigger(ref)
            try:
                scaler = await self._maker.make(trigger)
            except PermanentError as error:
                raise _masked(error, trigger) from None
            lent = self._lent.setdefault(key, _Lent(trigger, scaler))
        lent.asked_at = self._world.clock.monotonic()
        return lent

    async def _trigger(self, ref: ScaledObjectRef) -> Trigger:
        metadata = dict(ref.metadata)
        type_ = metadata.pop(TYPE_KEY, "")
        if not type_:
            raise PermanentError(
                f"metadata.{TYPE_KEY} is required: which scaler is asked; `pilotlight scaler list` names them"
            )
        auth = await self._authentication(metadata.pop(AUTHENTICATION_KEY, ""))
        # KEDA has put the variable's value where its name was.
        env = {name: value for name, value in metadata.items() if name.endswith(FROM_ENV)}
        told = {name: name if name in env else value for name, value in metadata.items()}
        return Trigger(ObjectKey(ref.namespace, ref.name), 0, type_, told, auth=auth, env=env)

    async def _authentication(self, name: str) -> Mapping[str, str]:
        if not name:
            return {}
        path = f"metadata.{AUTHENTICATION_KEY}: is {name!r}"
        if self._secrets is None:
            raise PermanentError(f"{path}, and the server was started without --secrets")
        if "/" in name or name.startswith("."):
            raise PermanentError(f"{path}, must be the name of a folder in that of --secrets")
        try:
            return await asyncio.to_thread(_read_files, self._secrets / name)
        except (OSError, UnicodeDecodeError) as error:
            raise PermanentError(f"{path}, which cannot be read in the folder of --secrets: {error}") from None

    async def _look_up(self, type_: str) -> AnyDefinition:
        definition = await load_definition(type_)
        if definition.inside:
            raise PermanentError(f"{TYPE_KEY}: {type_} measures what is inside a platform of Pilotlight: there is none")
        return definition

    async def _read(self, lent: _Lent, fresh_s: float = FRESH_S) -> Sequence[tuple[Target, Reading]]:
        async with lent.lock:
            clock = self._world.clock
            if clock.monotonic() - lent.read_at > fresh_s:
                try:
                    async with asyncio.timeout(READ_S):
                        targets = await lent.scaler.targets()
                        readings = await lent.scaler.read()
                except TimeoutError:
                    raise TemporaryError(f"{lent.trigger.type} did not answer within {READ_S:g} s") from None
                except (PermanentError, TemporaryError) as error:
                    raise _masked(error, lent.trigger) from None
                except Exception as error:  # a defect of ours; its words may hold a secret
                    log.error("scaler failed", type=lent.trigger.type, error=type(error).__name__)
                    raise TemporaryError(f"{lent.trigger.type} failed: {type(error).__name__}") from None
                lent.found, lent.read_at = list(zip(targets, readings, strict=True)), clock.monotonic()
                lent.whole |= {
                    target.metric: _bounded(target, reading)
                    for target, reading in lent.found
                    if reading.quality is Quality.WHOLE
                }
            return lent.found


def _activity(found: Sequence[tuple[Target, Reading]]) -> bool:
    """TemporaryError: what was read says no, and not all of it was."""
    if any(reading.activity > target.activation for target, reading in found):
        return True
    if any(reading.quality is Quality.PARTIAL for _, reading in found):
        raise TemporaryError("only a part could be read, and there is no work in that")
    return False


def _bounded(target: Target, reading: Reading) -> float:
    """The value for which an HPA of metricType AverageValue comes to the number of replicas that we would."""
    value = max(0.0, reading.value)
    if reading.shares and value > 0:
        replicas = min(reading.shares, math.ceil(value / target.value * (1 - 1e-9)))
        value = math.ceil(reading.shares / math.ceil(reading.shares / replicas)) * target.value
    return value if reading.replicas_max is None else min(value, reading.replicas_max * target.value)


def _masked(error: PermanentError | TemporaryError, trigger: Trigger) -> PermanentError | TemporaryError:
    text = masked(str(error), trigger)
    return PermanentError(text, error.reason) if isinstance(error, PermanentError) else TemporaryError(text)


def _read_files(folder: Path) -> dict[str, str]:
    """A mounted Secret: a file for each parameter."""
    return {path.name: path.read_text().strip() for path in folder.iterdir() if path.is_file()}
