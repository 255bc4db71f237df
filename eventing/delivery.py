"""What comes after an attempt: done, another try and when, the dead letters, or the end of the subscription.

One policy, one formula, one table, for Triggers, Subscriptions, flows and sources alike (docs/eventing.md prints them).
The dispatcher calls `next_step` after every attempt and does what it says; `error_attributes` is what a dead letter
carries. Times are seconds, chance is a number that the caller drew. Pure.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeAlias

from core.resources.eventing_delivery import BackoffPolicy, Format
from core.settings.iso_durations import parse_iso_duration

NO_RESPONSE_CODE: Final = -1
"""`knativeerrorcode` where there was no answer, as Knative's own dispatcher has it."""
ERROR_DATA_MAX: Final = 1024
"""Characters of `knativeerrordata`, in base64."""
RETRIED: Final = frozenset({404, 408, 409, 429})  # and 500 to 599
GONE: Final = 410
MAX_OF_DELAYS: Final = 300
"""`backoffMax` where nobody says it: ten tries with the default delay then last about as long as Knative's."""
_OBEYS_RETRY_AFTER: Final = frozenset({429, 503})
_DOUBLINGS_MAX: Final = 62  # beyond it a wait is longer than any machine runs, and `2**n` a number without end
_CONTROLS: Final = re.compile(rb"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything decided. `retry` counts tries after the first; the wait before each never exceeds `backoff_max_s`."""

    retry: int = 10
    backoff: BackoffPolicy = BackoffPolicy.EXPONENTIAL
    backoff_delay_s: float = 0.2
    backoff_max_s: float = 60.0
    jitter: float = 0.0  # the share of each wait that is left to chance
    timeout_s: float = 600.0  # of one attempt
    retry_after_max_s: float = 300.0  # 0 obeys no Retry-After
    format: Format | None = None  # None: as it was received


DEFAULT: Final = Policy()


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """What one document says; None where it says nothing."""

    retry: int | None = None
    backoff: BackoffPolicy | None = None
    backoff_delay_s: float | None = None
    backoff_max_s: float | None = None
    jitter: float | None = None
    timeout_s: float | None = None
    retry_after_max_s: float | None = None
    format: Format | None = None
    has_sink: bool = False  # names a dead letter sink


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP response. `body` may be cut; a 2xx is one whose body, if it was to be a reply, was read as one."""

    status: int
    retry_after_s: float | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Not reached, timed out, cut off; or a reply that could not be stored: the whole delivery has failed.

    `again` is False where no try can ever succeed.
    """

    reason: str
    again: bool = True


@dataclass(frozen=True, slots=True)
class Malformed:
    """A 200 whose body is not an event: the subscriber has done its work and would do it again."""

    status: int
    reason: str


Outcome: TypeAlias = Answered | NoAnswer | Malformed


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class RetryAt:
    time: float
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    reason: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The subscriber wants no more, ever: this event goes to the dead letters, and nothing is sent any more."""

    reason: str


Step: TypeAlias = Done | RetryAt | DeadLetter | Unsubscribe


def part_of(delivery: Mapping[str, Any] | None, jitter: float | None = None) -> PolicyPart:
    """A `spec.delivery` that admission has accepted, and the jitter of its object's annotation."""
    spec = delivery or {}

    def seconds(field: str) -> float | None:
        text = spec.get(field)
        return None if text is None else parse_iso_duration(text)

    return PolicyPart(
        retry=spec.get("retry"),
        backoff=BackoffPolicy(spec["backoffPolicy"]) if spec.get("backoffPolicy") else None,
        backoff_delay_s=seconds("backoffDelay"),
        backoff_max_s=seconds("backoffMax"),
        jitter=jitter,
        timeout_s=seconds("timeout"),
        retry_after_max_s=seconds("retryAfterMax"),
        format=Format(spec["format"]) if spec.get("format") else None,
        has_sink=bool(spec.get("deadLetterSink")),
    )


def merge(*parts: PolicyPart, default: Policy = DEFAULT) -> Policy:
    """Field by field, the first part that says something wins: `merge(trigger, broker)`.

    Who names a dead letter sink and no `retry` wants failures there, at once (Knative has no default for `retry`).
    """
    if any(part.has_sink for part in parts):
        default = replace(default, retry=0)
    chosen: dict[str, Any] = {}
    for field in fields(Policy):
        said = (getattr(part, field.name) for part in parts)
        chosen[field.name] = next((value for value in said if value is not None), getattr(default, field.name))
    if all(part.backoff_max_s is None for part in parts):
        chosen["backoff_max_s"] = chosen["backoff_delay_s"] * MAX_OF_DELAYS
    return Policy(**chosen)


def dead_letter_sink(*deliveries: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The destination of the first `spec.delivery` that names one; a field like the others."""
    return next((each["deadLetterSink"] for each in deliveries if each and each.get("deadLetterSink")), None)


def is_retried(status: int) -> bool:
    return status in RETRIED or 500 <= status <= 599


def backoff_s(policy: Policy, retry: int) -> float:
    """The wait before the nth retry, n from 1, before chance has its share: d·n, or d·2ⁿ; at most the cap."""
    if policy.backoff is BackoffPolicy.LINEAR:
        wait = policy.backoff_delay_s * retry
    else:
        wait = policy.backoff_delay_s * float(2 ** min(retry, _DOUBLINGS_MAX))
    return min(wait, policy.backoff_max_s)


def next_step(policy: Policy, outcome: Outcome, attempt: int, now: float, chance: float = 0.0) -> Step:
    """`attempt` says which one this outcome is of, from 1; `chance` is drawn from [0, 1) and only ever shortens."""
    if isinstance(outcome, Answered):
        if 200 <= outcome.status <= 299:
            return Done()
        if outcome.status == GONE:
            return Unsubscribe(reason_of(outcome))
        if not is_retried(outcome.status):
            return DeadLetter(reason_of(outcome))
    elif isinstance(outcome, Malformed) or not outcome.again:
        return DeadLetter(reason_of(outcome))
    if attempt > policy.retry:
        return DeadLetter(reason_of(outcome))
    wait = backoff_s(policy, attempt) * (1 - policy.jitter * chance)
    return RetryAt(now + max(wait, _asked_for_s(policy, outcome)), reason_of(outcome))


def reason_of(outcome: Outcome) -> str:
    """As `why` and the dead letters say it."""
    if isinstance(outcome, Answered):
        return f"the subscriber answered {outcome.status}"
    if isinstance(outcome, Malformed):
        return f"the subscriber answered {outcome.status} with what is no event: {outcome.reason}"
    return outcome.reason


def error_attributes(destination: str, outcome: Outcome) -> dict[str, str | int]:
    """What a dead-lettered event carries besides its own: where it failed, with which code, and what was said."""
    if isinstance(outcome, Answered):
        return _error(destination, outcome.status, outcome.body)
    if isinstance(outcome, Malformed):
        return _error(destination, outcome.status, reason_of(outcome).encode())
    return _error(destination, NO_RESPONSE_CODE, outcome.reason.encode())


def _error(destination: str, code: int, said: bytes) -> dict[str, str | int]:
    """What was said, without control characters, in base64, cut between two groups of it: as Knative sends it."""
    attributes: dict[str, str | int] = {"knativeerrordest": destination, "knativeerrorcode": code}
    data = _CONTROLS.sub(b"", said)[: ERROR_DATA_MAX * 3 // 4]
    return {**attributes, "knativeerrordata": base64.b64encode(data).decode()} if data else attributes


def _asked_for_s(policy: Policy, outcome: Outcome) -> float:
    """What a Retry-After that is obeyed asks for."""
    if isinstance(outcome, Answered) and outcome.status in _OBEYS_RETRY_AFTER and outcome.retry_after_s is not None:
        return min(max(outcome.retry_after_s, 0.0), policy.retry_after_max_s)
    return 0.0
