"""Which instances to start, stop, freeze and thaw: a table of situations, and what must hold in every one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.instances import Instance, InstancePlan, Wanted, choose_victims, plan_instances

NEW, OLD = "new", "old"
KEEP = Wanted(0, NEW, keep_paused=True)


def some(text: str) -> list[Instance]:
    """`a+` ready, `b` not yet, `c+3` with three requests, `d+p` paused, `e+o` of the old template; oldest first."""
    made = []
    for created, word in enumerate(text.split()):
        digits = "".join(letter for letter in word if letter.isdigit())
        made.append(
            Instance(word[0], OLD if "o" in word[1:] else NEW, created, "+" in word, "p" in word[1:], int(digits or 0))
        )
    return made


CASES = [
    ("from nothing to three", Wanted(3, NEW), "", InstancePlan(start=3)),
    ("enough", Wanted(2, NEW), "a+ b", InstancePlan()),
    ("to zero", Wanted(0, NEW), "a+ b+", InstancePlan(stop=("b", "a"))),
    ("who is not ready goes first", Wanted(1, NEW), "a b+ c+", InstancePlan(stop=("a", "c"))),
    ("then who is idle", Wanted(2, NEW), "a+ b+4 c+1", InstancePlan(stop=("a",))),
    ("then who is least busy", Wanted(1, NEW), "a+9 b+4 c+5", InstancePlan(stop=("b", "c"))),
    ("of equals the newest", Wanted(2, NEW), "a+ b+ c+", InstancePlan(stop=("c",))),
    ("the newest ready one is frozen", KEEP, "a+ b+ c", InstancePlan(stop=("c", "a"), pause=("b",))),
    ("one frozen is enough", KEEP, "a+p b+", InstancePlan(stop=("b",))),
    ("asleep with one frozen", KEEP, "a+p", InstancePlan()),
    ("nobody is ready to be frozen", KEEP, "a b", InstancePlan(stop=("b", "a"))),
    ("thaw before start", Wanted(2, NEW, keep_paused=True), "a+p", InstancePlan(start=1, resume=("a",))),
    ("the annotation was taken away", Wanted(0, NEW), "a+p", InstancePlan(stop=("a",))),
    ("a frozen one beside enough", Wanted(1, NEW, keep_paused=True), "a+p b+", InstancePlan(stop=("a",))),
    ("update: surge first", Wanted(3, NEW, 1, 0), "a+o b+o c+o", InstancePlan(start=1)),
    ("update: wait for the new one", Wanted(3, NEW, 1, 0), "a+o b+o c+o d", InstancePlan()),
    ("update: one old goes for one new", Wanted(3, NEW, 1, 0), "a+o b+o c+o d+", InstancePlan(stop=("c",))),
    ("update: without surge", Wanted(2, NEW, 0, 1), "a+o b+o", InstancePlan(stop=("b",))),
    ("update: room after that", Wanted(2, NEW, 0, 1), "a+o", InstancePlan(start=1)),
    ("update: broken old ones go first", Wanted(2, NEW, 1, 0), "a+o bo c", InstancePlan()),
    ("update: broken old ones, new one up", Wanted(2, NEW, 1, 0), "a+o bo c+", InstancePlan(stop=("b",))),
    ("update: the last old one", Wanted(2, NEW, 1, 0), "a+o b+ c+", InstancePlan(stop=("a",))),
    ("update while asleep", Wanted(0, NEW), "a+o", InstancePlan(stop=("a",))),
    ("recreate: all old go", Wanted(2, NEW, recreate=True), "a+o b+o", InstancePlan(stop=("b", "a"))),
    ("recreate: then all new come", Wanted(2, NEW, recreate=True), "", InstancePlan(start=2)),
    ("a frozen one of an old template", Wanted(1, NEW, keep_paused=True), "a+po b+", InstancePlan(stop=("a",))),
]


@pytest.mark.parametrize(("wanted", "text", "plan"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_plan(wanted: Wanted, text: str, plan: InstancePlan) -> None:
    made = plan_instances(wanted, some(text))
    if wanted.recreate:
        assert sorted(made.stop) == sorted(plan.stop)
        assert made.start == plan.start
    else:
        assert made == plan


def test_a_recreate_waits_for_those_that_leave() -> None:
    assert plan_instances(Wanted(2, NEW, recreate=True), [], leaving=1) == InstancePlan()
    assert plan_instances(Wanted(2, NEW), [], leaving=5) == InstancePlan(start=2)


instances = st.lists(
    st.builds(
        Instance,
        name=st.uuids().map(str),
        template=st.sampled_from([NEW, OLD]),
        created=st.integers(0, 5).map(float),
        ready=st.booleans(),
        paused=st.booleans(),
        in_flight=st.integers(0, 3),
    ),
    max_size=8,
    unique_by=lambda each: each.name,
)
wishes = st.builds(
    Wanted,
    replicas=st.integers(0, 6),
    template=st.just(NEW),
    max_surge=st.integers(1, 3),
    max_unavailable=st.integers(0, 3),
    recreate=st.booleans(),
    keep_paused=st.booleans(),
)


@given(wanted=wishes, there=instances)
def test_bounds_hold_in_every_situation(wanted: Wanted, there: list[Instance]) -> None:
    plan = plan_instances(wanted, there)
    names = {each.name for each in there}
    touched = [*plan.stop, *plan.pause, *plan.resume]
    assert len(touched) == len(set(touched)), "one thing is done to each"
    assert set(touched) <= names
    if plan.start:
        awake_after = [each for each in there if (not each.paused or each.name in plan.resume)]
        assert len(awake_after) + plan.start <= max(wanted.replicas + wanted.max_surge, wanted.replicas)
    ready_before = sum(each.ready for each in there if not each.paused)
    ready_after = sum(each.ready for each in there if not each.paused and each.name not in touched)
    if not wanted.recreate:
        assert ready_after >= min(ready_before, wanted.replicas - wanted.max_unavailable)


def _paused_after(each: Instance, plan: InstancePlan) -> bool:
    return (each.paused or each.name in plan.pause) and each.name not in plan.resume


@given(wanted=wishes, there=instances)
def test_it_comes_to_rest_with_what_was_wanted(wanted: Wanted, there: list[Instance]) -> None:
    for turn in range(60):
        plan = plan_instances(wanted, there)
        if plan == InstancePlan():
            break
        kept = [each for each in there if each.name not in plan.stop]
        there = [replace(each, ready=True, paused=_paused_after(each, plan)) for each in kept]
        there += [Instance(f"n{turn}.{number}", NEW, 100.0 + turn, True) for number in range(plan.start)]
    awake = [each for each in there if not each.paused]
    assert [each.template for each in awake] == [NEW] * wanted.replicas
    assert len(there) - len(awake) <= (1 if wanted.keep_paused and wanted.replicas == 0 else 0)


@given(there=instances, count=st.integers(0, 8))
def test_a_busy_instance_is_never_chosen_before_an_idle_one(there: list[Instance], count: int) -> None:
    victims = choose_victims(there, count)
    left = [each for each in there if each not in victims]
    for victim in victims:
        for other in left:
            assert (victim.ready, victim.in_flight) <= (other.ready, other.in_flight)
