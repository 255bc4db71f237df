from __future__ import annotations

import pytest

from core.resources.pilotlight import IN_FLIGHT, IN_FLIGHT_FILE, IN_FLIGHT_PATH
from deploy.work_reports import AskFile, AskHttp, Question, complaints, in_hand, in_words, question_of, read_answer


@pytest.mark.parametrize(
    ("annotations", "question"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({IN_FLIGHT_PATH: "/busy"}, AskHttp("", "/busy"), id="a path"),
        pytest.param({IN_FLIGHT_PATH: ":9000/busy?all=1"}, AskHttp("9000", "/busy?all=1"), id="another port"),
        pytest.param({IN_FLIGHT_PATH: ":metrics/busy"}, AskHttp("metrics", "/busy"), id="a port by name"),
        pytest.param({IN_FLIGHT_FILE: "/work/busy"}, AskFile("/work/busy"), id="a file"),
    ],
)
def test_question(annotations: dict[str, str], question: Question | None) -> None:
    assert question_of(annotations) == question
    assert complaints(annotations) == []


@pytest.mark.parametrize("annotations", [{IN_FLIGHT_PATH: "busy"}, {IN_FLIGHT_FILE: "busy"}, {IN_FLIGHT_PATH: ""}])
def test_what_is_not_understood_is_told(annotations: dict[str, str]) -> None:
    (name,) = annotations
    assert question_of(annotations) is None
    (complaint,) = complaints(annotations)
    assert complaint.startswith(f"metadata.annotations[{name}] is {annotations[name]!r}; ")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("0", 0, id="none"),
        pytest.param("12\n", 12, id="a line"),
        pytest.param('{"inFlight": 3, "queue": "orders"}', 3, id="JSON"),
        pytest.param('{"inFlight": 3.5}', None, id="a fraction"),
        pytest.param('{"inFlight": true}', None, id="a truth"),
        pytest.param('{"inFlight": -1}', None, id="below nothing"),
        pytest.param('{"busy": 3}', None, id="another key"),
        pytest.param("{", None, id="broken JSON"),
        pytest.param("", None, id="empty"),
        pytest.param("-1", None, id="negative"),
        pytest.param("idle", None, id="a word"),
        pytest.param("٣", None, id="digits of others"),
        pytest.param("9" * 5000, None, id="very many digits"),
    ],
)
def test_answers(text: str, count: int | None) -> None:
    assert read_answer(text) == count


@pytest.mark.parametrize(("count", "said", "busy"), [(0, "0", 0), (3, "3", 3), (None, "unknown", 1)])
def test_unknown_is_not_idle(count: int | None, said: str, busy: int) -> None:
    assert in_words(count) == said
    assert in_hand({"metadata": {"annotations": {IN_FLIGHT: said}}}) == busy
    assert in_hand({"metadata": {}}) == 0
