"""JSON Schemas compiled, and data checked against them.

Loaded with the first schema that a user gives: the library takes as long to load as a tenth of a platform's start. A
schema that refers to another document by URL does not compile, because nothing is ever fetched.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from eventing.event import Event, is_json
from eventing.schemas import BadSchema

SENTENCE_MAX: Final = 300
_NOT_SCHEMAS: Final = frozenset(("const", "default", "enum", "examples"))


class JsonSchema:
    """`schemas.Schema`."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    def violation(self, event: Event) -> str | None:
        """How the event's data breaks the schema, in a sentence; None where it does not."""
        content_type = str(event.attributes.get("datacontenttype", "application/json"))
        if event.data is None:
            return "the event has no data"
        if not is_json(content_type):
            return f"the data is {content_type[:80]}, not JSON"
        try:
            document = orjson.loads(event.data)
        except ValueError as malformed:
            return f"the data is not JSON: {malformed}"
        try:
            error = best_match(self._validator.iter_errors(document))
        except RecursionError:
            return "the data, or its schema, is nested too deep"
        except Unresolvable as unresolvable:
            return f"the schema refers to {unresolvable.ref!r}, which is not in it"
        if error is None:
            return None
        sentence = f"{error.json_path.replace('$', 'data', 1)}: {error.message}"
        return sentence if len(sentence) <= SENTENCE_MAX else sentence[:SENTENCE_MAX] + "…"


def compile_schema(text: str) -> JsonSchema | BadSchema:
    """A JSON Schema of any draft that `$schema` names, 2020-12 where it names none."""
    try:
        document: Any = orjson.loads(text)
    except ValueError as error:
        return BadSchema(f"the schema is not JSON: {error}")
    if type(document) not in (dict, bool):
        return BadSchema("the schema is neither an object nor true or false")
    kind = validator_for(document, default=Draft202012Validator)
    try:
        kind.check_schema(document)
        _look_up_all(document)
    except SchemaError as error:
        return BadSchema(f"{error.json_path.replace('$', 'schema', 1)}: {error.message}"[:SENTENCE_MAX])
    except Unresolvable as error:
        return BadSchema(f"it refers to {error.ref!r}, which is not in it; nothing is fetched")
    except RecursionError:
        return BadSchema("the schema is nested too deep")
    return JsonSchema(kind(document, registry=Registry()))  # an empty registry, which fetches nothing


def _look_up_all(document: Any) -> None:
    """Finds references that lead nowhere now rather than at the first event that meets them. Unresolvable."""
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    base = resource.id() or ""
    resolver = Registry().with_resource(base, resource).crawl().resolver(base)
    pending = [document]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if part is not document and "$id" in part:
                continue  # a document within the document, whose references start from its own name
            if isinstance(reference := part.get("$ref"), str):
                resolver.lookup(reference)
            pending.extend(value for name, value in part.items() if name not in _NOT_SCHEMAS)
        elif isinstance(part, list):
            pending.extend(part)
