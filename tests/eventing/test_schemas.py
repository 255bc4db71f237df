"""Schemas: which compile, which data breaks them in which words, and which events they are for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eventing.json_schema import SENTENCE_MAX, compile_schema
from eventing.schemas import BadSchema, Schema, SchemaRule, Schemas, Template
from tests.support.events import plain

ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
    "$defs": {"line": {"type": "string", "maxLength": 5}},
}


def schema(document: Any) -> Schema:
    compiled = compile_schema(json.dumps(document))
    assert not isinstance(compiled, BadSchema), compiled
    return compiled


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"id": 1}', None),
        (b'{"id": 1, "lines": ["a"]}', None),
        (b"{}", "data: 'id' is a required property"),
        (b'{"id": "1"}', "data.id: '1' is not of type 'integer'"),
        (b'{"id": 1, "lines": ["a", "too long"]}', "data.lines[1]: 'too long' is too long"),
        (b"7", "data: 7 is not of type 'object'"),
        (b"{", "the data is not JSON"),
        (b"[" * 5000, "the data is not JSON"),
        (None, "the event has no data"),
    ],
)
def test_violations(data: bytes | None, words: str | None) -> None:
    found = schema(ORDER).violation(plain(data))
    assert found == words if words is None else found is not None and found.startswith(words)


def test_data_of_another_media_type_breaks_a_schema() -> None:
    found = schema(True).violation(plain(b"<x/>", datacontenttype="application/xml"))
    assert found == "the data is application/xml, not JSON"


def test_a_sentence_stays_a_sentence() -> None:
    found = schema({"maxLength": 1}).violation(plain(json.dumps("x" * 100_000).encode()))
    assert found is not None
    assert len(found) <= SENTENCE_MAX + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the schema is not JSON"),
        ("[]", "neither an object nor true or false"),
        ('{"type": 5}', "schema.type: 5 is not valid"),
        ('{"$ref": "#/$defs/nowhere"}', "'/$defs/nowhere', which is not in it"),
        ('{"properties": {"a": {"$ref": "http://169.254.169.254/x"}}}', "nothing is fetched"),
        ('{"$ref": "https://json-schema.org/draft/2020-12/schema"}', "nothing is fetched"),
        ('{"$id": "http://me/", "$ref": "other.json"}', "'other.json'"),
        ('{"pattern": "("}', "schema.pattern"),
    ],
)
def test_schemas_that_do_not_compile(text: str, words: str) -> None:
    found = compile_schema(text)
    assert isinstance(found, BadSchema)
    assert words in found.detail


@pytest.mark.parametrize(
    "document",
    [
        True,
        {},
        {"enum": [{"$ref": "urn:no-reference"}]},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "$ref": "#/definitions/a"},
        {"$id": "http://me/", "$defs": {"a": {"$id": "a"}}, "$ref": "a"},
    ],
)
def test_schemas_that_compile(document: Any) -> None:
    assert schema(document).violation(plain(b'{"$ref": "urn:no-reference"}')) is None


def test_a_reference_that_only_an_event_meets_leads_nowhere_in_words() -> None:
    inner = {"$defs": {"a": {"$id": "http://inner/", "$ref": "nowhere"}}, "$ref": "http://inner/"}
    assert schema(inner).violation(plain(b"1")) == "the schema refers to 'nowhere', which is not in it"


def test_a_schema_without_end_ends() -> None:
    assert schema({"$ref": "#"}).violation(plain(b"1")) == "the data, or its schema, is nested too deep"


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/ab", False),
        ("/devices/{id}", "/devices/7", True),
        ("/devices/{id}/x", "/devices//x", True),
        ("/devices/{id}/x", "/devices/7/y", False),
        ("a.c", "abc", False),
        ("{any}", "what\never", True),
        ("{a}.{b}", "ab", False),
    ],
)
def test_templates(template: str, value: str, expected: bool) -> None:
    assert Template(template).matches(value) is expected


def test_rules_are_by_type_and_source() -> None:
    number = schema({"type": "number"})
    schemas = Schemas(
        [
            SchemaRule(Template("a"), number, Template("/one/{x}")),
            SchemaRule(Template("b"), schema(True)),
            SchemaRule(Template("b"), number),
            SchemaRule(Template("{x}.v2"), number),
        ]
    )
    assert schemas
    assert not Schemas()
    wrong = "data: 'x' is not of type 'number'"
    for type, source, expected in (
        ("a", "/other", None),
        ("a", "/one/1", wrong),
        ("b", "/any", wrong),
        ("c", "/any", None),
        ("c.v2", "/any", wrong),
    ):
        assert schemas.violation(plain(b'"x"', type=type, source=source)) == expected
        assert schemas.violation(plain(b"1", type=type, source=source)) is None
