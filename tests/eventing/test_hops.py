"""The budget of hops: what comes in with which one, and how a chain of replies ends."""

from __future__ import annotations

import pytest

from eventing.attributes import Invalid
from eventing.event import Event, Value
from eventing.hops import BUDGET, HOPS, VIA, VIA_MAX, Spent, accept, spend, stripped
from tests.support.events import plain


def chain(triggers: list[str], budget: int = BUDGET, first: Event | None = None) -> Event | Spent:
    """An event, a reply to it through the first trigger, a reply to that through the second, and so on."""
    event = first or plain()
    for trigger in triggers:
        reply = spend(plain(id=trigger), event, trigger, budget)
        if isinstance(reply, Spent):
            return reply
        event = reply
    return event


def test_what_says_nothing_of_hops_is_not_touched() -> None:
    event = plain()
    assert accept(event, 3) is event
    assert stripped(event) is event


@pytest.mark.parametrize(("said", "taken"), [("0", "0"), ("3", "3"), (2, 2), ("4", 3), (10**9, 3), ("9999999999", 3)])
def test_nobody_gets_more_hops_than_the_broker_gives(said: Value, taken: Value) -> None:
    accepted = accept(plain(knativebrokerttl=said), 3)
    assert isinstance(accepted, Event)
    assert accepted.attributes[HOPS] == taken


@pytest.mark.parametrize("said", ["", "-1", -1, "x", "1.5", True, "٣", "9" * 11])
def test_what_is_no_budget(said: Value) -> None:
    found = accept(plain(knativebrokerttl=said), 3)
    assert isinstance(found, Invalid)
    assert (found.status, found.attribute) == (400, HOPS)


@pytest.mark.parametrize("budget", [0, 1, 5])
def test_as_many_replies_as_the_budget_says(budget: int) -> None:
    assert isinstance(chain(["t"] * budget, budget), Event)
    spent = chain(["t"] * (budget + 1), budget)
    assert isinstance(spent, Spent)
    assert spent.triggers == ("t",)


def test_a_loop_names_its_triggers() -> None:
    spent = chain(["ns/a", "ns/b", "ns/c"] * 100)
    assert isinstance(spent, Spent)
    assert set(spent.triggers) == {"ns/a", "ns/b", "ns/c"}
    assert "through ns/b, ns/c, ns/a" in str(spent) or "ns/a, ns/b" in str(spent)


def test_a_reply_cannot_give_itself_hops() -> None:
    reply = spend(plain(knativebrokerttl=200, pilotlightvia="forged"), plain(knativebrokerttl="1"), "ns/t", BUDGET)
    assert isinstance(reply, Event)
    assert (reply.attributes[HOPS], reply.attributes[VIA]) == (0, "ns/t")


def test_the_way_that_is_kept_is_bounded() -> None:
    event = chain([f"ns/t{number}" for number in range(VIA_MAX + 5)])
    assert isinstance(event, Event)
    assert str(event.attributes[VIA]).split() == [f"ns/t{number}" for number in range(5, VIA_MAX + 5)]


def test_subscribers_do_not_see_it() -> None:
    event = chain(["ns/t"])
    assert isinstance(event, Event)
    assert stripped(event) == plain(id="ns/t")
