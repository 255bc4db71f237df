"""A request body as a document: JSON, YAML or protobuf in, plain JSON out, everything else refused by name.

The verbs call it. Sizes are bounded before it (`app`), depth here: whatever walks a document may recurse. YAML aliases
are refused, because a few hundred bytes of them can stand for gigabytes (CVE-2019-11253); kubectl resolves them before
it sends.
"""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from core.apiserver.protobuf import read_protobuf
from core.errors import BadRequest, TooLarge, UnsupportedMediaType
from core.resources.meta import Json

PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
JSON_TYPES = frozenset({"", "application/json"})
DEPTH_MAX = 200  # what is written back as JSON may not be deeper than 254; real documents are at about 15
YAML_BYTES_MAX = 256 * 1024  # parsing takes about a second for a megabyte
YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})


class _Loader(yaml.CSafeLoader):
    """JSON's types alone: a date stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def media_type(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.split(";", 1)[0].strip().lower()


def read_object(content_type: str, body: bytes) -> Json:
    """The object of a create or an update. BadRequest, UnsupportedMediaType."""
    kind = media_type(content_type)
    if kind in JSON_TYPES:
        return as_object(read_json(body))
    if kind in YAML_TYPES:
        return as_object(read_yaml(body))
    if kind == PROTOBUF_TYPE:
        return read_protobuf(body)
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def as_object(document: Any) -> Json:
    if not isinstance(document, dict):
        raise BadRequest("the body of the request is not an object: apiVersion, kind and metadata are expected")
    return document


def read_json(body: bytes) -> Any:
    """BadRequest, with the place, where the text is no JSON."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"couldn't parse the body as JSON: {error}") from error
    # What has few brackets cannot be deep: true for nearly everything, and told without a walk.
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        _check_depth(document)
    return document


def read_yaml(body: bytes) -> Any:
    """One YAML document (or JSON, which is YAML too). BadRequest."""
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return read_json(body)
        except BadRequest:
            pass  # YAML's flow style looks the same
    if len(body) > YAML_BYTES_MAX:
        raise TooLarge(f"YAML bodies are limited to {YAML_BYTES_MAX} bytes; as JSON the document may be larger")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(body, _Loader)):
            raise BadRequest("error converting YAML to JSON: anchors and aliases are not accepted here")
        document = yaml.load(body, _Loader)
        return read_json(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place else ""
        raise BadRequest(f"error converting YAML to JSON{where}: {getattr(error, 'problem', None) or error}") from error


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(DEPTH_MAX):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        if not inner:
            return
        level = inner
    raise BadRequest(f"the body of the request is nested too deeply: {DEPTH_MAX} levels are the limit")
