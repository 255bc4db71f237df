"""Events for tests: one that is plain, and strategies for all that may be."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from eventing.event import Event, Value

PLAIN: dict[str, Value] = {"specversion": "1.0", "id": "1", "source": "/orders", "type": "com.example.order"}


def plain(data: bytes | None = None, **attributes: Value) -> Event:
    """The smallest event, with these attributes too."""
    return Event({**PLAIN, **attributes}, data)


NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20).filter(
    lambda name: (
        name not in {"data", "id", "source", "type", "specversion", "subject", "time", "dataschema"}
        and name != "datacontenttype"
    )
)
# Cs: surrogates, Cc: controls; noncharacters are the last two of each plane and U+FDD0 to U+FDEF.
CHARACTERS = st.characters(exclude_categories=("Cs", "Cc")).filter(
    lambda char: ord(char) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(char) <= 0xFDEF
)
TEXT = st.text(CHARACTERS)
FILLED = st.text(CHARACTERS, min_size=1)
VALUES: st.SearchStrategy[Value] = st.one_of(TEXT, st.integers(-(2**31), 2**31 - 1), st.booleans())
SOURCES = st.sampled_from(["/s", "https://example.com/a%20b?c#d", "urn:uuid:1", "#", "mailto:a@b.c", "x/y"])
TIMES = st.sampled_from(["2018-04-05T17:31:00Z", "1990-12-31T23:59:60.000001+05:30"])
CONTENT_TYPES = st.sampled_from(
    ["application/json", "text/json; charset=utf-8", "a/b+json", "text/plain", "application/xml", "image/png"]
)
DATA = st.one_of(
    st.none(),
    st.binary(min_size=1),
    st.sampled_from([b"{}", b"null", b'"text"', b"[1.10, 1e5 , 99999999999999999999]", b"not json", "ä€😀".encode()]),
)


@st.composite
def events(draw: st.DrawFn, values: st.SearchStrategy[Value] = VALUES) -> Event:
    """Any valid event, with extensions of these values."""
    attributes: dict[str, Value] = dict(draw(st.dictionaries(NAMES, values, max_size=5)))
    attributes |= {"specversion": "1.0", "id": draw(FILLED), "source": draw(SOURCES), "type": draw(FILLED)}
    optional = {"time": TIMES, "subject": FILLED, "datacontenttype": CONTENT_TYPES, "dataschema": st.just("urn:s")}
    for name, strategy in optional.items():
        if draw(st.booleans()):
            attributes[name] = draw(strategy)
    return Event(attributes, draw(DATA))
