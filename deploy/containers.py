"""One container of a Pod, across its restarts: start, probe, wait for its end, back off, again.

`deploy/pods` makes one loop per container and reads `seen`. A loop knows its Pod through `Ties` only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path

from core.clock import Clock
from core.resources.containers import Container as Document
from core.resources.containers import LifecycleHandler
from deploy.backoff import Backoff, Failure, Failures
from deploy.hooks import run_hook
from deploy.podstatus import (
    CREATING,
    INITIALIZING,
    ContainerSeen,
    ContainerState,
    Running,
    Terminated,
    Waiting,
    ending_reason,
)
from deploy.probes import Answer, run_probe
from deploy.probing import Check, ExecCheck, ProbeKind, ProbePlan, ProbeState, Where, make_probes
from deploy.reports import EventType
from deploy.runtimes.base import Container, ContainerPlan, Exit, Sandbox, StartError
from deploy.volume_files import prepare_parts

PULL_REASONS = frozenset({"ErrImagePull", "ErrImageNeverPull", "RegistryUnavailable"})
COMPLAIN_AFTER_S = 1.0  # an aggressive probe fails a few times by design; only after this is it worth a word
COMPLAIN_EVERY_S = 10.0
KILL_GRACE_S_MIN = 2.0  # kubelet's minimumGracePeriodInSeconds
STEPS_MAX = 20  # events of one start, so that a long installation does not push out the others
MESSAGE_CHARS_MAX = 4096  # what a status may carry of a container's last words


@dataclass(frozen=True, slots=True)
class Ties:
    """What a container has of its Pod. `changed(urgent)`: its status is to be written, at once or soon."""

    name: str  # `main in pod web_default(uid)` is made from these three
    namespace: str
    uid: str
    owner: Hashable  # whose failures are remembered together: the revision, or this Pod
    restart_policy: str
    grace_s: float
    where: Where
    log_dir: Path
    failures: Failures
    clock: Clock
    changed: Callable[[bool], None]
    event: Callable[[EventType, str, str], None]


class ContainerLoop:
    """`run` ends when the container will not be started again; `stop` ends it for good."""

    def __init__(self, plan: ContainerPlan, document: Document, ties: Ties, restarts: int, is_first: bool) -> None:
        sidecar = plan.init and document.restart_policy == "Always"
        self.plan, self.document, self.ties = plan, document, ties
        self._policy = "Always" if sidecar else _init_policy(ties.restart_policy) if plan.init else ties.restart_policy
        waiting = CREATING if is_first else INITIALIZING
        self.seen = ContainerSeen(plan.name, plan.image, plan.init, sidecar, state=waiting, restarts=restarts)
        self.up = asyncio.Event()  # it runs, and its startup probe has succeeded
        self._probes = make_probes(document, ties.where, plan.serving)
        self._sandbox: Sandbox | None = None
        self.container: Container | None = None
        self._group: asyncio.TaskGroup | None = None
        self._probing: dict[ProbeKind, asyncio.Task[None]] = {}
        self._started_at = 0.0
        self._complained: dict[ProbeKind, float] = {}
        self._has_run = False
        self._steps = 0  # told of by the start

    async def run(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        while True:
            await self._wait_turn()
            container = await self._start(sandbox)
            if container is None:
                continue
            exit_ = await self._attend(container)
            if not self._ended(container, exit_):
                return

    async def stop(self, grace_s: float) -> None:
        """preStop, the stop signal, SIGKILL after the grace; returns when it has ended. `run` was cancelled before."""
        container, self.container = self.container, None
        if container is None:
            return
        begun = self.ties.clock.monotonic()
        hook = self.document.lifecycle.pre_stop if self.document.lifecycle is not None else None
        if hook is not None and grace_s > 0:
            await self._run_hook(hook, container, grace_s, "FailedPreStopHook", "PreStopHook")
        left_s = grace_s - (self.ties.clock.monotonic() - begun)
        exit_ = await container.stop(max(left_s, KILL_GRACE_S_MIN) if grace_s > 0 else 0.0)
        self._see(
            False,
            state=_how_it_ended(container, exit_, self.seen.state, self.document, self.ties.clock.wall()),
            ready=False,
            started=False,
        )

    @property
    def is_running(self) -> bool:
        return self.container is not None

    def pause(self) -> None:
        """No probe while it is frozen: it would fail."""
        for task in self._probing.values():
            task.cancel()
        self._probing.clear()

    def resume(self) -> None:
        if self.container is not None and self._group is not None:  # it may be ending just now
            self._begin_probes(self.container)

    # --- starting

    async def _wait_turn(self) -> None:
        key, clock = self._key(), self.ties.clock
        backoff = self.ties.failures.in_force(key, clock.monotonic())
        if backoff is None:
            return
        waiting = _waiting(backoff, self.plan, self.ties)
        self._see(True, state=waiting)
        if waiting.reason in ("CrashLoopBackOff", "ImagePullBackOff"):
            self.ties.event("Warning", "BackOff", _back_off_event(waiting, self.plan, self.ties))
        await clock.sleep(backoff.until - clock.monotonic())

    async def _start(self, sandbox: Sandbox) -> Container | None:
        ties = self.ties
        self._steps = 0
        if self._has_run or self.seen.restarts:
            _move_logs_aside(ties.log_dir, self.plan.name)
        try:
            prepare_parts(self.plan)
            container = await sandbox.start(self.plan, self._hear)
        except StartError as error:
            self.ties.failures.note(self._key(), Failure(error.message, error.reason), ties.clock.monotonic())
            self._see(True, state=Waiting(error.reason, error.message))
            ties.event("Warning", "Failed", f"Error: {error.message}")
            return None
        restarts = self.seen.restarts + self._has_run
        self.container, self._has_run = container, True
        self._started_at = ties.clock.monotonic()
        if container.image_id and not self._steps:
            ties.event("Normal", "Pulled", f'Container image "{self.plan.image}" already present on machine')
        ties.event("Normal", "Created", f"Created container: {self.plan.name}")
        ties.event("Normal", "Started", f"Started container {self.plan.name}")
        started = ProbeKind.STARTUP not in self._probes
        self._see(
            False,
            state=Running(ties.clock.wall()),
            restarts=restarts,
            container_id=container.id,
            image_id=container.image_id,
            started=started,
            ready=started and ProbeKind.READINESS not in self._probes,
            unready="",
        )
        return container

    def _hear(self, reason: str, message: str) -> None:
        """What the start waits for: the latest in the status, the first of them as events."""
        self._steps += 1
        if self._steps <= STEPS_MAX:
            self.ties.event("Normal", reason, message)
        self._see(False, state=Waiting(CREATING.reason, message))

    async def _attend(self, container: Container) -> Exit:
        """Its life: hooks and probes beside the wait for its end."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                post_start = self.document.lifecycle.post_start if self.document.lifecycle is not None else None
                if post_start is not None:
                    group.create_task(self._run_post_start(post_start, container), name=f"{self.plan.name}:postStart")
                if self.seen.started:
                    self.up.set()
                if self.seen.ready:
                    self.ties.changed(True)
                self._begin_probes(container)
                return await container.wait()
            finally:
                self._group = None
                self.pause()

    def _ended(self, container: Container, exit_: Exit) -> bool:
        """Notes how it ended; whether it is to be started again."""
        ties = self.ties
        ended = _how_it_ended(container, exit_, self.seen.state, self.document, ties.clock.wall())
        self.container = None
        again = self._policy == "Always" or (self._policy == "OnFailure" and exit_.code != 0)
        self._see(True, state=ended, last=ended if again else self.seen.last, ready=False, started=False)
        if again:
            ties.failures.note(self._key(), Failure(_last_words(ended, exit_)), ties.clock.monotonic())
        return again

    # --- probes

    def _begin_probes(self, container: Container) -> None:
        if ProbeKind.STARTUP in self._probes and not self.seen.started:
            self._probe(ProbeKind.STARTUP, container)
            return
        for kind in (ProbeKind.READINESS, ProbeKind.LIVENESS):
            if kind in self._probes:
                self._probe(kind, container)

    def _probe(self, kind: ProbeKind, container: Container) -> None:
        assert self._group is not None
        plan = self._probes[kind]

        def answered(state: ProbeState, answer: Answer) -> None:
            self._answered(plan, container, state, answer)

        run = run_probe(plan, container, self.ties.clock, answered)
        self._probing[kind] = self._group.create_task(run, name=f"{self.plan.name}:{kind}")

    def _answered(self, plan: ProbePlan, container: Container, state: ProbeState, answer: Answer) -> None:
        if not answer.success:
            self._complain(plan, answer)
        if state.healthy is None:
            return
        match plan.kind:
            case ProbeKind.READINESS:
                if self.seen.ready != state.healthy:
                    self._see(True, ready=state.healthy, unready="" if state.healthy else self.seen.unready)
            case ProbeKind.STARTUP if state.healthy:
                self._probing.pop(ProbeKind.STARTUP).cancel()
                self._see(True, started=True, ready=ProbeKind.READINESS not in self._probes)
                self.up.set()
                self._begin_probes(container)
            case _ if not state.healthy:
                self._restart(plan, container)

    def _complain(self, plan: ProbePlan, answer: Answer) -> None:
        """An event as the kubelet's, and for readiness a word in the status; rarely for a probe that tries so often."""
        now = self.ties.clock.monotonic()
        if plan.aggressive and now - self._started_at < COMPLAIN_AFTER_S:
            return
        if plan.aggressive and now - self._complained.get(plan.kind, float("-inf")) < COMPLAIN_EVERY_S:
            return
        self._complained[plan.kind] = now
        message = f"{plan.kind} probe failed: {answer.message}"
        self.ties.event("Warning", "Unhealthy", message)
        if plan.kind is ProbeKind.READINESS:
            self._see(
                False, unready=message + (_where_to_listen(self.ties.where, plan.check) if plan.aggressive else "")
            )

    def _restart(self, plan: ProbePlan, container: Container) -> None:
        """A failed startup or liveness probe ends the container; the loop starts it again."""
        assert self._group is not None
        for task in self._probing.values():
            task.cancel()
        self._probing.clear()
        words = f"Container {self.plan.name} failed {plan.kind.lower()} probe, will be restarted"
        self.ties.event("Normal", "Killing", words)
        self._see(True, ready=False)
        grace = self.ties.grace_s if plan.grace_s is None else plan.grace_s
        self._group.create_task(_stop(container, max(grace, KILL_GRACE_S_MIN)), name=f"{self.plan.name}:unhealthy")

    # --- hooks

    async def _run_post_start(self, hook: LifecycleHandler, container: Container) -> None:
        if not await self._run_hook(hook, container, self.ties.grace_s, "FailedPostStartHook", "PostStartHook"):
            await container.stop(KILL_GRACE_S_MIN)

    async def _run_hook(
        self, hook: LifecycleHandler, container: Container, limit_s: float, reason: str, what: str
    ) -> bool:
        problem = await run_hook(hook, container, self.document, self.ties.where, self.ties.clock, limit_s)
        if problem:
            self.ties.event("Warning", reason, f"{what} failed: {problem}")
        return not problem

    def _key(self) -> Hashable:
        return (self.ties.owner, self.plan.name)

    def _see(self, urgent: bool, **changes: object) -> None:
        seen = replace(self.seen, **changes)  # type: ignore[arg-type]  # fields of `ContainerSeen`, by name
        if seen != self.seen:
            self.seen = seen
            self.ties.changed(urgent)


async def _stop(container: Container, grace_s: float) -> None:
    await container.stop(grace_s)


def _init_policy(policy: str) -> str:
    """An init container that fails is tried again unless the Pod is never restarted; one that succeeds is done."""
    return "Never" if policy == "Never" else "OnFailure"


def _how_it_ended(
    container: Container, exit_: Exit, state: ContainerState, document: Document, now: float
) -> Terminated:
    return Terminated(
        code=exit_.code,
        reason=ending_reason(exit_.code, exit_.oom),
        started=state.started if isinstance(state, Running) else now,
        finished=now,
        signal=exit_.signal,
        message=exit_.last_words or _end_of_log(exit_, document),
        container_id=container.id,
    )


def _end_of_log(exit_: Exit, document: Document) -> str:
    """What stands for the message of a container that failed and left none, where that is asked for."""
    asked = document.termination_message_policy == "FallbackToLogsOnError"
    return exit_.message[-MESSAGE_CHARS_MAX:] if asked and exit_.code else ""


def _where_to_listen(where: Where, check: Check) -> str:
    asked = None if isinstance(check, ExecCheck) else check.port
    inside = next((port for port, door in where.doors.items() if door == asked), where.inside)
    if inside is not None:
        return f" (port {inside} of the container: it must listen there on 0.0.0.0, not on 127.0.0.1 alone)"
    return "" if where.port is None else f" (it was told to listen on PORT={where.port})"


def _last_words(ended: Terminated, exit_: Exit) -> str:
    """What a waiting request is told of a crash: its exit, and the last line that it said."""
    how = "it was killed for using more memory than its limit" if ended.reason == "OOMKilled" else ""
    how = how or (f"it was ended by signal {ended.signal}" if ended.signal else f"it exited with code {ended.code}")
    lines = (exit_.last_words or exit_.message).strip().splitlines()
    return f"{how}: {lines[-1][:300]}" if lines else how


def _waiting(backoff: Backoff, plan: ContainerPlan, ties: Ties) -> Waiting:
    failure = backoff.failure
    until = ties.clock.wall() + backoff.until - ties.clock.monotonic()
    if failure.reason in PULL_REASONS:
        return Waiting("ImagePullBackOff", f'Back-off pulling image "{plan.image}": {failure.message}', until)
    if failure.reason:
        return Waiting(failure.reason, failure.message, until)
    pod = f"{ties.name}_{ties.namespace}({ties.uid})"
    back_off = f"back-off {_duration(backoff.waiting_s)} restarting failed container={plan.name} pod={pod}"
    return Waiting("CrashLoopBackOff", f"{back_off}: {failure.message}", until)


def _back_off_event(waiting: Waiting, plan: ContainerPlan, ties: Ties) -> str:
    if waiting.reason == "ImagePullBackOff":
        return f'Back-off pulling image "{plan.image}"'
    return f"Back-off restarting failed container {plan.name} in pod {ties.name}_{ties.namespace}({ties.uid})"


def _duration(seconds: float) -> str:
    """As Go prints one: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _move_logs_aside(folder: Path, name: str) -> None:
    """The log of the run before this one becomes what `kubectl logs --previous` reads; the one before that goes."""
    for old in folder.glob(f"{name}.previous.log*"):
        old.unlink(missing_ok=True)
    for path in folder.glob(f"{name}.log*"):
        with contextlib.suppress(FileNotFoundError):
            path.rename(folder / path.name.replace(f"{name}.log", f"{name}.previous.log", 1))
