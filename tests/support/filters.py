"""Filters and events for tests: compiled from a Trigger's spec, or made up by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from eventing.event import Event, Value
from eventing.filters.clauses import Filter
from eventing.filters.dialects import compile_filters

NAMES = ("type", "source", "subject", "number", "flag", "region")
_TEXTS = st.sampled_from(["a", "b", "ab", "ba", "aab", "7", "07", "true"])
_VALUES = st.one_of(_TEXTS, st.sampled_from([7, 0, True, False, ""]))


def event(**attributes: Value) -> Event:
    return Event({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **attributes})


def compiled(spec: dict[str, Any]) -> Filter:
    """Of a spec that has no errors."""
    result = compile_filters(spec)
    assert isinstance(result, Filter), result
    return result


def events() -> st.SearchStrategy[Event]:
    optional = {"subject": _TEXTS, "number": _VALUES, "flag": _VALUES, "region": _VALUES}
    attributes = st.fixed_dictionaries({"type": _TEXTS, "source": _TEXTS}, optional=optional)
    return attributes.map(lambda made: event(**made))


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Specs with `filters`, with `filter`, with neither."""
    legacy = st.dictionaries(st.sampled_from(NAMES), _TEXTS | st.just(""), max_size=3)
    listed = st.lists(_filters, max_size=3).map(lambda filters: {"filters": filters})
    return listed | legacy.map(lambda attributes: {"filter": {"attributes": attributes}}) | st.just({})


def _pairs() -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(NAMES), _TEXTS, min_size=1, max_size=3)


def _comparisons() -> st.SearchStrategy[str]:
    names, quoted = st.sampled_from(NAMES), _TEXTS.map(lambda text: f"'{text}'")
    patterns = st.sampled_from(["a%", "%b", "a%b", "%a%", "ab", "_b", "%", "a_%", r"a\%"])
    return st.one_of(
        st.builds("{} = {}".format, names, quoted),
        st.builds("{} = {}".format, quoted, names),
        st.builds("{} != {}".format, names, quoted),
        st.builds("{} = 7".format, names),
        st.builds("{} LIKE '{}'".format, names, patterns),
        st.builds("{} NOT LIKE '{}'".format, names, patterns),
        st.builds("{} IN ({}, {})".format, names, quoted, quoted),
        st.builds("{} IN ({}, 7)".format, names, quoted),
        st.builds("EXISTS {}".format, names),
        names,
    )


def _expressions() -> st.SearchStrategy[str]:
    operators = st.sampled_from(["AND", "OR", "XOR"])

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("{} {} {}".format, inner, operators, inner),
            st.builds("({} {} {})".format, inner, operators, inner),
            st.builds("NOT ({})".format, inner),
        )

    return st.recursive(_comparisons(), grown, max_leaves=4)


def _nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        several.map(lambda filters: {"all": filters}),
        several.map(lambda filters: {"any": filters}),
        inner.map(lambda negated: {"not": negated}),
    )


_filters = st.recursive(
    st.one_of(
        st.builds(lambda dialect, pairs: {dialect: pairs}, st.sampled_from(["exact", "prefix", "suffix"]), _pairs()),
        _expressions().map(lambda text: {"cesql": text}),
    ),
    _nested,
    max_leaves=4,
)
