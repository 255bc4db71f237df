"""Cron schedules: what is read, what is refused, and which moment comes next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.schedules import parse_schedule


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def next_of(schedule: str, after: str, timezone: str = "") -> str | None:
    moment = parse_schedule(schedule, timezone).next_after(at(after))
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
        ("* * * * *", "2026-01-01T00:00:59.999Z", "2026-01-01T00:01:00Z"),
        ("*/2 * * * *", "2026-01-01T00:59:00Z", "2026-01-01T01:00:00Z"),
        ("*/10 * * * * *", "2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z"),
        ("0 0 12 * * ?", "2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"),
        ("30 9 * * mon-fri", "2026-01-02T10:00:00Z", "2026-01-05T09:30:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("0 0 31 4 *", "2026-01-01T00:00:00Z", None),
        ("15,45 8-10/2 1 JAN,JUL *", "2026-01-01T10:45:00Z", "2026-07-01T08:15:00Z"),
        ("5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45:00Z"),
        ("@daily", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
    ],
)
def test_the_next_moment(schedule: str, after: str, expected: str | None) -> None:
    assert next_of(schedule, after) == expected


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        pytest.param("0 9 * * *", "2026-01-15T00:00:00Z", "2026-01-15T08:00:00Z", id="winter"),
        pytest.param("0 9 * * *", "2026-07-15T00:00:00Z", "2026-07-15T07:00:00Z", id="summer"),
        pytest.param("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z", id="an hour that is skipped"),
        pytest.param("30 2 * * *", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", id="an hour that comes twice"),
        pytest.param("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", id="but counts once"),
        pytest.param("0 0 * * *", "2026-01-01T22:59:59Z", "2026-01-01T23:00:00Z", id="midnight there"),
    ],
)
def test_by_the_clock_of_a_place(schedule: str, after: str, expected: str) -> None:
    assert next_of(schedule, after, "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("schedule", "timezone", "text"),
    [
        ("", "", "expected 5 to 6 fields, found 0: ''"),
        ("* * * *", "", "expected 5 to 6 fields, found 4: '* * * *'"),
        ("60 * * * *", "", "minutes must be from 0 to 59: '60'"),
        ("* * 0 * *", "", "day of month must be from 1 to 31: '0'"),
        ("* * * * 7", "", "day of week must be from 0 to 6: '7'"),
        ("5-1 * * * *", "", "beginning of minutes is beyond its end: '5-1'"),
        ("*/0 * * * *", "", "step of minutes must be a positive number: '*/0'"),
        ("a * * * *", "", "failed to parse minutes: 'a'"),
        ("1,,2 * * * *", "", "failed to parse minutes: ''"),
        ("@every 1s", "", "unrecognized descriptor: @every 1s"),
        ("* * * * *", "Mars/Base", "provided bad location Mars/Base: unknown time zone"),
        ("* * * * *", "../etc", "provided bad location ../etc: unknown time zone"),
    ],
)
def test_refused(schedule: str, timezone: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_schedule(schedule, timezone)
    assert str(refused.value).startswith(text)


@given(
    st.integers(1, 59),
    st.integers(0, 23),
    st.sampled_from(("", "Europe/Berlin", "America/New_York", "Asia/Kolkata")),
    st.integers(1_600_000_000, 2_000_000_000),
)
def test_moments_follow_each_other_and_are_those_that_the_schedule_names(
    step: int, hour: int, timezone: str, after: int
) -> None:
    schedule = parse_schedule(f"*/{step} {hour} * * *", timezone)
    first = schedule.next_after(after)
    assert first is not None
    second = schedule.next_after(first)
    assert second is not None
    assert after < first < second
    for moment in (first, second):
        wall = datetime.fromtimestamp(moment, schedule.zone)
        assert (wall.hour, wall.minute % step, wall.second) == (hour, 0, 0)
    assert first - after <= 2 * 86400
