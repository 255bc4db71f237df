"""The window: held, kept, expired, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventing.duplicates import Window, key_of


def test_what_is_kept_is_known_until_its_time_is_up() -> None:
    window: Window[str] = Window(age_s=10)
    assert not window.is_kept(key_of(("/s", "1")), 0)
    window.keep(key_of(("/s", "1")), 5)
    assert window.is_kept(key_of(("/s", "1")), 14.9)
    assert not window.is_kept(key_of(("/s", "2")), 14.9)
    assert not window.is_kept(key_of(("/S", "1")), 14.9)
    assert not window.is_kept(key_of(("/s", "1")), 15)
    assert len(window) == 0


def test_what_is_only_held_is_not_kept() -> None:
    window: Window[str] = Window(age_s=10)
    window.hold(key_of(("/s", "1")), "first")
    assert window.holder(key_of(("/s", "1"))) == "first"
    assert not window.is_kept(key_of(("/s", "1")), 0)
    window.release(key_of(("/s", "1")))
    assert window.holder(key_of(("/s", "1"))) is None
    window.hold(key_of(("/s", "1")), "second")
    window.keep(key_of(("/s", "1")), 1)
    assert window.holder(key_of(("/s", "1"))) is None
    assert window.is_kept(key_of(("/s", "1")), 2)


def test_source_and_id_do_not_run_into_each_other() -> None:
    window: Window[str] = Window(age_s=10)
    window.keep(key_of(("/a", "b1")), 0)
    assert not window.is_kept(key_of(("/ab", "1")), 0)
    assert not window.is_kept(key_of(("/", "ab1")), 0)


def test_a_second_keep_starts_the_time_anew() -> None:
    window: Window[str] = Window(age_s=10)
    window.keep(key_of(("/s", "1")), 0)
    window.keep(key_of(("/s", "2")), 4)
    window.keep(key_of(("/s", "1")), 8)
    assert window.is_kept(key_of(("/s", "1")), 17)
    assert not window.is_kept(key_of(("/s", "2")), 17)


def test_the_oldest_give_way() -> None:
    window: Window[str] = Window(age_s=100, count_max=3)
    for number in range(5):
        window.keep(key_of(("/s", str(number))), number)
    assert [number for number in range(5) if window.is_kept(key_of(("/s", str(number))), 5)] == [2, 3, 4]


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 8)), max_size=40))
def test_as_a_plain_dictionary_would_have_it(steps: list[tuple[int, float]]) -> None:
    window: Window[str] = Window(age_s=10)
    last: dict[int, float] = {}
    now = 0.0
    for number, pause in steps:
        now += pause
        assert window.is_kept(key_of(("/s", str(number))), now) == (number in last and last[number] > now - 10)
        window.keep(key_of(("/s", str(number))), now)
        last[number] = now
