"""The table of outcomes, the waits, the merge, and what a dead letter carries; docs/eventing.md prints the vectors."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.eventing_delivery import BackoffPolicy, Format
from eventing.delivery import (
    DEFAULT,
    ERROR_DATA_MAX,
    Answered,
    DeadLetter,
    Done,
    Malformed,
    NoAnswer,
    Policy,
    PolicyPart,
    RetryAt,
    Unsubscribe,
    backoff_s,
    dead_letter_sink,
    error_attributes,
    is_retried,
    merge,
    next_step,
    part_of,
)

DOCUMENT = Path(__file__).parents[2] / "docs/eventing.md"
LINEAR = Policy(backoff=BackoffPolicy.LINEAR, backoff_delay_s=1.0)
VECTORS = [
    # policy, delay, cap, the waits before retries 1, 2, 3, 4, 10
    ("linear", 1.0, 600.0, (1, 2, 3, 4, 10)),
    ("linear", 0.5, 2.0, (0.5, 1, 1.5, 2, 2)),
    ("exponential", 0.2, 600.0, (0.4, 0.8, 1.6, 3.2, 204.8)),
    ("exponential", 1.0, 600.0, (2, 4, 8, 16, 600)),
    ("exponential", 1.0, 10.0, (2, 4, 8, 10, 10)),
    ("exponential", 0.0, 600.0, (0, 0, 0, 0, 0)),
]


@pytest.mark.parametrize(("backoff", "delay_s", "max_s", "waits"), VECTORS)
def test_waits(backoff: str, delay_s: float, max_s: float, waits: tuple[float, ...]) -> None:
    policy = Policy(backoff=BackoffPolicy(backoff), backoff_delay_s=delay_s, backoff_max_s=max_s)
    assert [backoff_s(policy, n) for n in (1, 2, 3, 4, 10)] == pytest.approx(waits)


def test_the_page_prints_these_vectors() -> None:
    rows = re.findall(r"^\| (linear|exponential) \|(.+)\|$", DOCUMENT.read_text(), re.MULTILINE)
    printed = [(policy, *(float(cell.strip().rstrip(" s")) for cell in cells.split("|"))) for policy, cells in rows]
    assert printed == [(policy, delay, cap, *map(float, waits)) for policy, delay, cap, waits in VECTORS]


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (Answered(200), Done),
        (Answered(202), Done),
        (Answered(204), Done),
        (Answered(299), Done),
        (Answered(101), DeadLetter),
        (Answered(301), DeadLetter),
        (Answered(307), DeadLetter),
        (Answered(400), DeadLetter),
        (Answered(401), DeadLetter),
        (Answered(403), DeadLetter),
        (Answered(404), RetryAt),
        (Answered(405), DeadLetter),
        (Answered(408), RetryAt),
        (Answered(409), RetryAt),
        (Answered(410), Unsubscribe),
        (Answered(413), DeadLetter),
        (Answered(415), DeadLetter),
        (Answered(422), DeadLetter),
        (Answered(429), RetryAt),
        (Answered(500), RetryAt),
        (Answered(503), RetryAt),
        (Answered(599), RetryAt),
        (Answered(600), DeadLetter),
        (NoAnswer("connection refused"), RetryAt),
        (NoAnswer("ftp://x is not HTTP", again=False), DeadLetter),
        (Malformed(200, "no ce-id"), DeadLetter),
    ],
)
def test_what_comes_after(outcome: Answered | NoAnswer | Malformed, step: type) -> None:
    assert type(next_step(DEFAULT, outcome, 1, 0.0)) is step


def test_every_status_that_is_retried_says_so() -> None:
    retried = [status for status in range(100, 600) if is_retried(status)]
    assert retried == [404, 408, 409, 429, *range(500, 600)]


def test_retry_counts_the_tries_after_the_first() -> None:
    policy = merge(PolicyPart(retry=2), PolicyPart(), default=LINEAR)
    refused = Answered(503)
    assert next_step(policy, refused, 1, 100.0) == RetryAt(101.0, "the subscriber answered 503")
    assert next_step(policy, refused, 2, 100.0) == RetryAt(102.0, "the subscriber answered 503")
    assert next_step(policy, refused, 3, 100.0) == DeadLetter("the subscriber answered 503")
    assert next_step(merge(PolicyPart(retry=0)), refused, 1, 100.0) == DeadLetter("the subscriber answered 503")


@pytest.mark.parametrize(
    ("status", "asked", "most", "waited"),
    [
        pytest.param(429, 30.0, 300.0, 30.0, id="longer than the backoff"),
        pytest.param(503, 30.0, 300.0, 30.0, id="503 too"),
        pytest.param(429, 0.5, 300.0, 1.0, id="shorter than the backoff"),
        pytest.param(429, 3600.0, 300.0, 300.0, id="capped"),
        pytest.param(429, 30.0, 0.0, 1.0, id="not obeyed"),
        pytest.param(500, 30.0, 300.0, 1.0, id="of another status"),
        pytest.param(429, -5.0, 300.0, 1.0, id="of the past"),
    ],
)
def test_retry_after(status: int, asked: float, most: float, waited: float) -> None:
    policy = merge(PolicyPart(retry_after_max_s=most), default=LINEAR)
    step = next_step(policy, Answered(status, retry_after_s=asked), 1, 0.0)
    assert isinstance(step, RetryAt)
    assert step.time == waited


def test_chance_only_shortens_and_never_what_was_asked_for() -> None:
    policy = merge(PolicyPart(jitter=0.5), default=LINEAR)
    step = next_step(policy, NoAnswer("timed out"), 4, 0.0, chance=0.5)
    assert step == RetryAt(3.0, "timed out")
    asked = next_step(policy, Answered(429, retry_after_s=4.0), 4, 0.0, chance=0.99)
    assert asked == RetryAt(4.0, "the subscriber answered 429")


@given(
    st.sampled_from(BackoffPolicy),
    st.floats(0, 1e6),
    st.floats(0.001, 1e6),
    st.integers(1, 10**6),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_no_wait_is_negative_or_above_the_cap(
    backoff: BackoffPolicy, delay: float, most: float, attempt: int, jitter: float, chance: float
) -> None:
    policy = Policy(10**7, backoff, delay, most, jitter)
    step = next_step(policy, NoAnswer("x"), attempt, 0.0, chance)
    assert isinstance(step, RetryAt)
    assert 0 <= step.time <= most
    assert backoff_s(policy, attempt) <= backoff_s(policy, attempt + 1)


def test_a_policy_is_merged_field_by_field() -> None:
    broker = part_of({"retry": 5, "backoffPolicy": "linear", "timeout": "PT5S", "format": "json"}, jitter=0.3)
    trigger = part_of({"retry": 0, "backoffDelay": "PT1M", "backoffMax": "PT2M", "retryAfterMax": "PT0S"})
    assert merge(trigger, broker) == Policy(
        retry=0,
        backoff=BackoffPolicy.LINEAR,
        backoff_delay_s=60.0,
        backoff_max_s=120.0,
        jitter=0.3,
        timeout_s=5.0,
        retry_after_max_s=0.0,
        format=Format.JSON,
    )
    assert merge(part_of(None), part_of({})) == DEFAULT


@pytest.mark.parametrize(
    ("trigger", "broker", "retry"),
    [
        pytest.param(None, None, 10, id="nobody says anything"),
        pytest.param({"backoffDelay": "PT1S"}, None, 10, id="not of retry"),
        pytest.param({"deadLetterSink": {"uri": "http://d"}}, None, 0, id="a sink: failures go there at once"),
        pytest.param(None, {"deadLetterSink": {"uri": "http://d"}}, 0, id="the broker's sink"),
        pytest.param({"deadLetterSink": {"uri": "http://d"}}, {"retry": 3}, 3, id="and the broker's retry"),
        pytest.param({"retry": 2}, {"deadLetterSink": {"uri": "http://d"}}, 2, id="retry of its own"),
    ],
)
def test_who_names_a_sink_says_how_often_to_retry(trigger: dict[str, Any], broker: dict[str, Any], retry: int) -> None:
    assert merge(part_of(trigger), part_of(broker)).retry == retry


def test_the_longest_wait_follows_the_delay() -> None:
    assert merge(part_of({"backoffDelay": "PT5M"})).backoff_max_s == 300 * 300.0
    assert merge(part_of({"backoffDelay": "PT5M"}), part_of({"backoffMax": "PT6M"})).backoff_max_s == 360.0


def test_ten_tries_last_about_as_long_as_with_knative() -> None:
    assert 200 < sum(backoff_s(DEFAULT, n) for n in range(1, DEFAULT.retry + 1)) < 230


def test_the_dead_letter_sink_is_a_field_like_the_others() -> None:
    broker = {"deadLetterSink": {"uri": "http://b"}, "retry": 1}
    assert dead_letter_sink({"retry": 3}, broker) == {"uri": "http://b"}
    assert dead_letter_sink({"deadLetterSink": {"uri": "http://t"}}, broker) == {"uri": "http://t"}
    assert dead_letter_sink(None, {}) is None


@pytest.mark.parametrize(
    ("outcome", "code", "data"),
    [
        (Answered(500, body=b"it broke"), 500, b"it broke"),
        (Answered(500, body=b"line one\r\nline two\x00"), 500, b"line oneline two"),
        (Answered(500, body=b"\xff\xfe?"), 500, b"\xff\xfe?"),
        (Answered(400), 400, None),
        (NoAnswer("connection refused"), -1, b"connection refused"),
        (
            Malformed(200, "no ce-id"),
            200,
            b"the subscriber answered 200 with what is no event: no ce-id",
        ),
    ],
)
def test_error_attributes(outcome: Answered | NoAnswer | Malformed, code: int, data: bytes | None) -> None:
    expected: dict[str, str | int] = {"knativeerrordest": "http://f.default.svc/", "knativeerrorcode": code}
    if data is not None:
        expected["knativeerrordata"] = base64.b64encode(data).decode()
    assert error_attributes("http://f.default.svc/", outcome) == expected


@given(st.binary(max_size=4000))
def test_error_data_is_bounded_and_the_beginning_of_what_was_said(body: bytes) -> None:
    data = str(error_attributes("http://x", Answered(500, body=body)).get("knativeerrordata", ""))
    assert len(data) <= ERROR_DATA_MAX
    said = re.sub(rb"[\x00-\x1f\x7f]", b"", body)
    assert said.startswith(base64.b64decode(data, validate=True))
    assert data or not said
