from __future__ import annotations

from core.resources.meta import Json, ObjectKey
from eventing.flows import Leg, flow_stream, parallel_legs, sequence_legs
from eventing.hops import STEP
from tests.support.subscribers import event


def fn(name: str) -> Json:
    return {"ref": {"kind": "Service", "name": name}}


def test_a_sequence_is_a_leg_for_each_step() -> None:
    delivery: Json = {"retry": 1}
    spec: Json = {"steps": [fn("a"), {**fn("b"), "delivery": delivery}, fn("c")], "reply": fn("r")}
    assert sequence_legs(spec) == [
        Leg("0", "spec.steps[0]", "", fn("a"), next="1"),
        Leg("1", "spec.steps[1]", "1", {**fn("b"), "delivery": delivery}, next="2", delivery=delivery),
        Leg("2", "spec.steps[2]", "2", fn("c"), reply=fn("r")),
    ]
    assert sequence_legs({}) == []


def test_a_parallel_is_a_leg_for_each_branch_and_one_before_it_where_there_is_a_filter() -> None:
    spec: Json = {
        "branches": [{"subscriber": fn("a")}, {"filter": fn("f"), "subscriber": fn("b"), "reply": fn("own")}],
        "reply": fn("r"),
    }
    assert parallel_legs(spec) == [
        Leg("0", "spec.branches[0].subscriber", "", fn("a"), reply=fn("r")),
        Leg("1/filter", "spec.branches[1].filter", "", fn("f"), next="1"),
        Leg("1", "spec.branches[1].subscriber", "1", fn("b"), reply=fn("own")),
    ]


def test_each_event_is_for_those_that_its_mark_names() -> None:
    legs = sequence_legs({"steps": [fn(name) for name in "abcdefghijkl"]})
    for mark, wanted in (("", ["0"]), ("1", ["1"]), ("11", ["11"])):
        passed = event("1", **({STEP: mark} if mark else {}))
        assert [leg.name for leg in legs if leg.wanted.matches(passed)] == wanted
    assert legs[0].wanted.explain(event("1", **{STEP: "1"})) == "spec.steps[0]: it is for another part of the flow"
    assert len({leg.wanted.text for leg in legs}) == len(legs), "a leg that changes its place is another one"


def test_a_sequence_and_a_parallel_may_have_the_same_name() -> None:
    key = ObjectKey("default", "x")
    assert flow_stream("sequence", key) != flow_stream("parallel", key)
