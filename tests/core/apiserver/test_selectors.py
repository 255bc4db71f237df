"""Label and field selectors as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.selectors import parse_fields, parse_labels
from core.errors import BadRequest
from core.resources.batch import JOB
from core.resources.core_v1 import CONFIG_MAP, EVENT
from core.resources.pods import POD

LABELS = {"app": "web", "tier": "a-b", "x.io/y": "", "in": "notin"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("  ", True), ("app", True), ("!app", False), ("! app", False), ("none", False), ("!none", True),
        ("app=web", True), ("app==web", True), ("app = web", True), ("app!=web", False), ("none!=web", True),
        ("app in (web)", True), ("app in (a, web ,b)", True), ("app in(a)", False), ("none in (a)", False),
        ("app notin (a)", True), ("app notin (web,a)", False), ("none notin (a)", True),
        ("app=web,tier=a-b", True), ("app=web , tier=x", False), ("x.io/y=", True), ("x.io/y", True),
        ("x.io/y in ()", True), ("x.io/y in (a,)", True), ("app=,tier", False), ("in=notin", True),
        ("app,tier in (a-b),!none", True),
    ],
)  # fmt: skip
def test_labels(text: str, matches: bool) -> None:
    assert parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "=a",
        ",",
        "a,",
        "a,,b",
        "a=b=c",
        "a in b",
        "a in (b",
        "a in (b c)",
        "!",
        "a b",
        "-a",
        "a=-",
        "a in (=)",
        "a<1",
        "x/",
    ],
)
def test_labels_that_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        parse_labels(text)


@given(st.text(alphabet="ab,=!() /innot<>", max_size=20))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_labels(text).matches({}), bool)
    except BadRequest as error:
        assert error.message  # noqa: PT017 - the refusal is the other good outcome


@given(st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), st.from_regex("[a-z]{0,5}", fullmatch=True)))
def test_a_selector_written_from_labels_matches_them(labels: dict[str, str]) -> None:
    selector = parse_labels(",".join(f"{key}={value}" for key, value in labels.items()))
    assert selector.matches(labels)
    assert parse_labels(str(selector)).matches(labels)


OBJECT = {
    "metadata": {"name": "p", "namespace": "d"},
    "spec": {"hostNetwork": False},
    "status": {"phase": "Running"},
    "involvedObject": {"kind": "Pod"},
    "source": {"component": "node"},
    "odd": "a,b=c\\",
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("metadata.name=p", True), ("metadata.name==p", True), ("metadata.name!=p", False),
        ("metadata.name=p,status.phase=Running", True), ("metadata.name=p,status.phase!=Running", False),
        ("spec.nodeName=", True), ("spec.nodeName!=", False), ("spec.hostNetwork=false", True),
        ("involvedObject.kind=Pod,source=node", True), (r"odd=a\,b\=c\\", True), ("metadata.name=p,", True),
    ],
)  # fmt: skip
def test_fields(text: str, matches: bool) -> None:
    assert parse_fields(text).matches(OBJECT) is matches


@pytest.mark.parametrize(
    ("status", "text", "matches"),
    [
        ({}, "status.successful=0", True),
        ({"succeeded": 1}, "status.successful=0", False),
        ({"succeeded": 1}, "status.successful=1", True),
    ],
)
def test_jobs_by_how_many_pods_have_succeeded(status: dict[str, int], text: str, matches: bool) -> None:
    assert parse_fields(text, JOB).matches({"metadata": {"name": "j"}, "status": status}) is matches


def test_fields_that_are_refused() -> None:
    with pytest.raises(BadRequest, match=r"can't understand 'metadata\.name'"):
        parse_fields("metadata.name")
    with pytest.raises(BadRequest, match=r'field label not supported: "spec\.image"'):
        parse_fields("spec.image=a", POD)
    with pytest.raises(BadRequest, match="not supported"):
        parse_fields("status.phase=a", CONFIG_MAP)
    assert parse_fields("involvedObject.uid=u,metadata.name=a", EVENT).requirements
