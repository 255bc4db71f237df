"""OpenAPI v2 as protobuf, for kubectl up to 1.26: it validates, explains and decides on dry runs with nothing else.

`schemas` makes it from the v3 documents when such a client asks. Only what those clients read is written: definitions
with their texts and marks, and for each kind the parameters of PATCH. The message is gnostic's `openapi.v2.Document`;
the field numbers are those of its OpenAPIv2.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from core.resources.meta import Json

REF_V3, REF_V2 = "#/components/schemas/", "#/definitions/"


def make_document_v2(documents: Mapping[str, bytes]) -> bytes:
    """One document of all groups from the v3 documents by name."""
    schemas: Json = {}
    paths: Json = {}
    for text in documents.values():
        document = orjson.loads(text)
        schemas |= document["components"]["schemas"]
        paths |= document["paths"]
    info = _text(1, "Pilotlight") + _text(2, "v2")
    path_items = b"".join(_message(2, _text(1, name) + _message(2, _path(item))) for name, item in paths.items())
    definitions = b"".join(_message(1, _named_schema(name, schema)) for name, schema in schemas.items())
    return _text(1, "2.0") + _message(2, info) + _message(8, path_items) + _message(9, definitions)


def _path(item: Json) -> bytes:
    return _message(8, _operation(item["patch"])) if "patch" in item else b""


def _operation(operation: Json) -> bytes:
    mark = "x-kubernetes-group-version-kind"
    parameters = b"".join(_message(8, _query_parameter(each)) for each in operation["parameters"])
    return _text(5, operation["operationId"]) + parameters + _message(13, _extension(mark, operation[mark]))


def _query_parameter(parameter: Json) -> bytes:
    """A QueryParameterSubSchema, in a NonBodyParameter, in a Parameter, in a ParametersItem."""
    schema = _text(2, "query") + _text(4, parameter["name"]) + _text(6, parameter["schema"]["type"])
    return _message(1, _message(2, _message(3, schema)))


def _named_schema(name: str, schema: Json) -> bytes:
    return _text(1, name) + _message(2, _schema(schema))


def _schema(schema: Json) -> bytes:
    parts = [_text(4, schema["description"])] if "description" in schema else []
    if "allOf" in schema:
        parts.append(_text(1, schema["allOf"][0]["$ref"].replace(REF_V3, REF_V2)))
    if "format" in schema:
        parts.append(_text(2, schema["format"]))
    parts += [_text(19, name) for name in schema.get("required", ())]
    if isinstance(schema.get("additionalProperties"), dict):
        parts.append(_message(21, _message(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_message(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_message(23, _message(1, _schema(schema["items"]))))
    if "properties" in schema:
        members = (_message(1, _named_schema(name, each)) for name, each in schema["properties"].items())
        parts.append(_message(25, b"".join(members)))
    parts += [_message(31, _extension(name, schema[name])) for name in _marks(schema)]
    return b"".join(parts)


def _marks(schema: Json) -> Iterable[str]:
    return (name for name in schema if name.startswith("x-kubernetes-"))


def _extension(name: str, value: Any) -> bytes:
    """NamedAny with its value as YAML, of which JSON is a part."""
    return _text(1, name) + _message(2, _text(2, orjson.dumps(value).decode()))


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _message(number: int, content: bytes) -> bytes:
    """A length-delimited field: a text or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
