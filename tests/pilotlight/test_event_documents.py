from __future__ import annotations

from eventing.chronicle import Happening, What
from eventing.hops import ONLY
from eventing.log.base import Attempt, DeadLetter, Record
from eventing.why import Answer, Finding, State, Verdict
from pilotlight.event_documents import happening_document, letter_document, record_document, why_document
from tests.support.subscribers import event

NOTED = event("1", **{ONLY: "trigger/n/t"}, data="text", datacontenttype="text/plain")
PLAIN = {"specversion": "1.0", "id": "1", "source": "/test", "type": "t", "datacontenttype": "text/plain"}
LETTER = DeadLetter(3, "trigger/n/t", "broker/n/b", 7, 2500, "gave up", (Attempt(1, 1500, None, "silence"),), NOTED)


def test_a_letter_alone_has_its_data() -> None:
    shown = letter_document(LETTER)
    assert shown["event"] == PLAIN
    assert shown["attempts"] == [{"number": 1, "time": 1.5, "code": None, "reason": "silence"}]
    assert (shown["number"], shown["fate"], shown["time"]) == (3, "waiting", 2.5)
    assert letter_document(LETTER, whole=True)["event"] == {**PLAIN, "data": "text"}


def test_happenings_have_data_where_that_is_asked_for() -> None:
    happening = Happening(5.0, What.DELIVERED, "trigger/n/t", 7, NOTED, 200, "")
    assert happening_document(happening, with_data=False)["event"] == PLAIN
    assert happening_document(happening, with_data=True)["event"]["data"] == "text"


def test_why() -> None:
    verdict = Verdict("trigger/n/t", State.DELIVERED, "the subscriber answered 200", 6.0, 200)
    answer = Answer([Finding("broker/n/b", Record(7, 5000, NOTED), [verdict])], [LETTER])
    document = why_document("1", answer)
    (found,) = document["found"]
    assert (found["stream"], found["offset"], found["time"], found["event"]) == ("broker/n/b", 7, 5.0, PLAIN)
    assert found["subscriptions"][0]["state"] == "delivered"
    assert document["deadLetters"][0]["number"] == 3


def test_a_record_of_a_dry_run() -> None:
    assert record_document(Record(7, 5000, NOTED)) == {
        "what": "would-send",
        "offset": 7,
        "time": 5.0,
        "event": PLAIN,
    }
