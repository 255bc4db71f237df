"""Every dialect by table, the refusals with path and place, and `explain`. With `clauses`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from core.errors import FieldError
from eventing.event import Event
from eventing.filters.clauses import Filter
from eventing.filters.dialects import NESTING_MAX, cesql_filter, cesql_hints, compile_filters
from tests.support.filters import compiled, event, events, specs

ORDER = event(
    type="com.example.order", source="/shop/eu", subject="7", number=7, big=-70, flag=True, off=False, empty="",
    time="2026-01-02T10:00:00Z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "matches"),
    [
        # nothing asked for
        ({}, True),
        ({"filter": None, "filters": None}, True),
        ({"filter": {}, "filters": []}, True),
        ({"filter": {"attributes": {}}}, True),
        # legacy: "" is any value of an attribute that is there
        ({"filter": {"attributes": {"type": "com.example.order"}}}, True),
        ({"filter": {"attributes": {"type": "com.example"}}}, False),
        ({"filter": {"attributes": {"type": ""}}}, True),
        ({"filter": {"attributes": {"empty": ""}}}, True),
        ({"filter": {"attributes": {"off": ""}}}, True),
        ({"filter": {"attributes": {"missing": ""}}}, False),
        ({"filter": {"attributes": {"time": ""}}}, True),
        ({"filter": {"attributes": {"missing": "x"}}}, False),
        ({"filter": {"attributes": {"type": "", "source": "/shop/eu", "number": "7"}}}, True),
        ({"filter": {"attributes": {"type": "", "source": "/shop"}}}, False),
        # filters override filter, unless they are empty
        ({"filter": {"attributes": {"type": "x"}}, "filters": [{"exact": {"subject": "7"}}]}, True),
        ({"filter": {"attributes": {"type": "x"}}, "filters": []}, False),
        ({"filters": [{"exact": {"subject": "7"}}, {"exact": {"subject": "8"}}]}, False),
        # exact, prefix, suffix: canonical text
        ({"filters": [{"exact": {"type": "com.example.order", "source": "/shop/eu"}}]}, True),
        ({"filters": [{"exact": {"type": "com.example.order", "source": "/shop"}}]}, False),
        ({"filters": [{"exact": {"type": "COM.EXAMPLE.ORDER"}}]}, False),
        ({"filters": [{"exact": {"missing": "x"}}]}, False),
        ({"filters": [{"exact": {"number": "7"}}]}, True),
        ({"filters": [{"exact": {"number": "07"}}]}, False),
        ({"filters": [{"exact": {"flag": "true"}}]}, True),
        ({"filters": [{"exact": {"flag": "True"}}]}, False),
        ({"filters": [{"exact": {"off": "false"}}]}, True),
        ({"filters": [{"prefix": {"type": "com.", "source": "/shop/"}}]}, True),
        ({"filters": [{"prefix": {"type": "com.", "source": "shop"}}]}, False),
        ({"filters": [{"prefix": {"big": "-7"}}]}, True),
        ({"filters": [{"prefix": {"flag": "tr"}}]}, True),
        ({"filters": [{"prefix": {"missing": "x"}}]}, False),
        ({"filters": [{"suffix": {"type": ".order", "source": "/eu"}}]}, True),
        ({"filters": [{"suffix": {"type": ".orders"}}]}, False),
        ({"filters": [{"suffix": {"off": "lse"}}]}, True),
        # time is text, as it was written
        ({"filters": [{"exact": {"time": "2026-01-02T10:00:00Z"}}]}, True),
        ({"filters": [{"exact": {"time": "2026-01-02T12:00:00+02:00"}}]}, False),
        ({"filters": [{"prefix": {"time": "2026-01-02"}}]}, True),
        # all, any, not
        ({"filters": [{"all": [{"exact": {"subject": "7"}}, {"prefix": {"type": "com"}}]}]}, True),
        ({"filters": [{"all": [{"exact": {"subject": "7"}}, {"prefix": {"type": "org"}}]}]}, False),
        ({"filters": [{"any": [{"exact": {"subject": "8"}}, {"prefix": {"type": "com"}}]}]}, True),
        ({"filters": [{"any": [{"exact": {"subject": "8"}}, {"prefix": {"type": "org"}}]}]}, False),
        ({"filters": [{"any": [{"exact": {"subject": "7"}}]}]}, True),
        ({"filters": [{"not": {"exact": {"subject": "8"}}}]}, True),
        ({"filters": [{"not": {"exact": {"missing": "8"}}}]}, True),
        ({"filters": [{"not": {"not": {"exact": {"subject": "8"}}}}]}, False),
        ({"filters": [{"not": {"any": [{"prefix": {"type": "org"}}, {"all": [{"suffix": {"source": "us"}}]}]}}]}, True),
        # CESQL: only true passes, and only without an error
        ({"filters": [{"cesql": "type = 'com.example.order' AND subject LIKE '7%'"}]}, True),
        ({"filters": [{"cesql": "number < 7"}]}, False),
        ({"filters": [{"cesql": "flag"}]}, True),
        ({"filters": [{"cesql": "off"}]}, False),
        ({"filters": [{"cesql": "number"}]}, False),
        ({"filters": [{"cesql": "type"}]}, False),
        ({"filters": [{"cesql": "missing = 'x'"}]}, False),
        ({"filters": [{"cesql": "missing != 'x'"}]}, False),
        ({"filters": [{"cesql": "NOT (missing = 'x')"}]}, False),
        ({"filters": [{"not": {"cesql": "missing = 'x'"}}]}, True),
        ({"filters": [{"cesql": "1 / (number - 7) = 0"}]}, False),
        # other dialects that are there but empty, as some clients write them
        ({"filters": [{"exact": {"subject": "7"}, "all": [], "not": None, "cesql": ""}]}, True),
    ],
)
def test_matches(spec: dict[str, Any], matches: bool) -> None:
    found = compiled(spec)
    assert found.matches(ORDER) == matches
    assert (found.explain(ORDER) == "passes") == matches


DEEP: Any = {"exact": {"a": "b"}}
for _ in range(NESTING_MAX + 1):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"filters": [{"cesql": "type ="}]}, "spec.filters[0].cesql", "expected a value, found the end (column 7)"),
        ({"filters": [{"cesql": "type = 'a'\nAND )"}]}, "spec.filters[0].cesql", "(line 2, column 5)"),
        ({"filters": [{"cesql": "NO_SUCH(type) = 1"}]}, "spec.filters[0].cesql", "no function NO_SUCH of 1 argument ("),
        ({"filters": [{"cesql": "LEFT(type, 1, 2) = 1"}]}, "spec.filters[0].cesql", "no function LEFT of 3 arguments"),
        ({"filters": [{"cesql": "LENGTH(type)"}]}, "spec.filters[0].cesql", "must give a Boolean"),
        ({"filters": [{"cesql": "'true'"}]}, "spec.filters[0].cesql", "must give a Boolean"),
        ({"filters": [{"cesql": True}]}, "spec.filters[0].cesql", "must be a string"),
        ({"filters": [{"exact": {"a": "b"}}, {"equal": {"a": "b"}}]}, "spec.filters[1].equal", "no such dialect"),
        ({"filters": [{}]}, "spec.filters[0]", "one of exact, prefix"),
        ({"filters": [{"exact": {}}]}, "spec.filters[0]", "not empty"),
        ({"filters": [{"all": []}]}, "spec.filters[0]", "not empty"),
        ({"filters": [{"not": {}}]}, "spec.filters[0]", "not empty"),
        ({"filters": ["x"]}, "spec.filters[0]", "must be a map"),
        ({"filters": {"exact": {"a": "b"}}}, "spec.filters", "must be a list"),
        ({"filters": [{"all": {"exact": {"a": "b"}}}]}, "spec.filters[0].all", "must be a list"),
        ({"filters": [{"exact": {"a": "b"}, "prefix": {"a": "b"}}]}, "spec.filters[0]", "one dialect per entry"),
        ({"filters": [{"exact": {"a": ""}}]}, "spec.filters[0].exact[a]", "text to compare with"),
        ({"filters": [{"prefix": {"Type": "b"}}]}, "spec.filters[0].prefix[Type]", "lower-case letters and digits"),
        ({"filters": [{"suffix": {"a": 7}}]}, "spec.filters[0].suffix[a]", "quote it"),
        ({"filters": [{"suffix": "x"}]}, "spec.filters[0].suffix", "must be a map"),
        (
            {"filters": [{"any": [{"exact": {"a": "b"}}, {"not": {"cesql": "a = = 'b'"}}]}]},
            "spec.filters[0].any[1].not.cesql",
            "equality is a single = (column 5)",
        ),
        ({"filter": {"attributes": {"a-b": "c"}}}, "spec.filter.attributes[a-b]", "lower-case letters and digits"),
        ({"filter": {"attributes": ["a"]}}, "spec.filter.attributes", "must be a map"),
        ({"filters": [DEEP]}, "spec.filters[0]" + ".not" * 33, "nested more than 32 levels"),
    ],
)
def test_refuses(spec: dict[str, Any], path: str, message: str) -> None:
    errors = compile_filters(spec)
    assert not isinstance(errors, Filter), "it would let events pass"
    assert [error.path for error in errors] == [path]
    assert message in errors[0].message


def test_tells_all_that_is_wrong() -> None:
    errors = compile_filters(
        {"filters": [{"cesql": "a ="}, {"exact": {"a": "b"}}, {"any": [{"no": 1}, {"cesql": ")"}]}]}
    )
    assert isinstance(errors, list)
    paths = ["spec.filters[0].cesql", "spec.filters[2].any[0].no", "spec.filters[2].any[1].cesql"]
    assert [error.path for error in errors] == paths


def test_marks_the_place() -> None:
    errors = cesql_filter("type = 'a' AND subject == 'x'", "--filter")
    assert isinstance(errors, list)
    assert errors == [
        FieldError(
            "--filter",
            "Invalid value: unexpected `=`: equality is a single = (column 25)",
            detail="type = 'a' AND subject == 'x'\n                        ^",
        )
    ]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"filters": [{"exact": {"type": "x"}}]}, 'spec.filters[0].exact: type is "com.example.order", expected "x"'),
        ({"filters": [{"exact": {"missing": "x"}}]}, 'spec.filters[0].exact: missing is missing, expected "x"'),
        ({"filters": [{"exact": {"number": "8"}}]}, 'spec.filters[0].exact: number is 7, expected "8"'),
        (
            {"filters": [{"exact": {"subject": "7"}}, {"prefix": {"source": "/shop", "type": "org."}}]},
            'spec.filters[1].prefix: type is "com.example.order", expected one that begins with "org."',
        ),
        (
            {"filters": [{"suffix": {"source": "/us"}}]},
            'spec.filters[0].suffix: source is "/shop/eu", expected one that ends with "/us"',
        ),
        ({"filter": {"attributes": {"gone": ""}}}, "spec.filter.attributes: gone is missing, expected any value"),
        (
            {"filter": {"attributes": {"time": "", "subject": "8"}}},
            'spec.filter.attributes: subject is "7", expected "8"',
        ),
        (
            {"filters": [{"any": [{"exact": {"subject": "8"}}, {"cesql": "number > 7"}]}]},
            'spec.filters[0].any: none passes (spec.filters[0].any[0].exact: subject is "7", expected "8"; '
            "spec.filters[0].any[1].cesql: `number > 7` is false: number is 7)",
        ),
        (
            {"filters": [{"all": [{"not": {"exact": {"subject": "7"}}}]}]},
            'spec.filters[0].all[0].not: expected not (subject is "7"), and it is so',
        ),
        (
            {"filters": [{"cesql": "missing = 'x'"}]},
            "spec.filters[0].cesql: `missing = 'x'` has an error: attribute missing is missing",
        ),
    ],
)
def test_explains(spec: dict[str, Any], why: str) -> None:
    assert compiled(spec).explain(ORDER) == why


@given(specs(), events())
def test_explains_exactly_what_does_not_pass(spec: dict[str, Any], made: Event) -> None:
    found = compiled(spec)
    assert (found.explain(made) == "passes") == found.matches(made)


@given(specs(), events())
def test_a_list_is_a_conjunction_and_a_negation_the_opposite(spec: dict[str, Any], made: Event) -> None:
    for entry in spec.get("filters", []):
        single = compiled({"filters": [entry]}).matches(made)
        assert compiled({"filters": [{"not": entry}]}).matches(made) != single
    filters = spec.get("filters")
    if filters:
        singles = [compiled({"filters": [entry]}).matches(made) for entry in filters]
        assert compiled(spec).matches(made) == all(singles) == compiled({"filters": [{"all": filters}]}).matches(made)
        assert compiled({"filters": [{"any": filters}]}).matches(made) == any(singles)


def test_texts_say_what_a_filter_is() -> None:
    spec = {"filters": [{"any": [{"exact": {"a": "b"}}, {"not": {"prefix": {"a": "c"}}}]}, {"cesql": "x = 1"}]}
    assert compiled(spec).text == '((a is "b") or (not (a begins with "c"))) and (x = 1)'
    assert compiled({}).text == "every event"
    assert compiled({"filter": {"attributes": {"a": "", "b": "c"}}}).text == 'a is there and b is "c"'


def test_hints_at_logic_that_reads_otherwise_than_many_expect() -> None:
    spec = {"filters": [{"cesql": "a = 1 AND b = 2"}, {"any": [{"not": {"cesql": "a AND b OR c"}}]}, {"cesql": "("}]}
    (hint,) = cesql_hints(spec)
    assert hint.startswith("spec.filters[1].any[0].not.cesql: ")
    assert hint.endswith("a AND (b OR c)")
