"""Which form of an answer a client can read, from its `Accept` header.

client-go asks for protobuf first and takes JSON; kubectl asks for a Table or for aggregated discovery, in two versions,
before plain JSON. The first range that we can serve wins (RFC 9110, 12.5.1: by weight, then as written).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from core.errors import NotAcceptable

JSON_TYPE, YAML_TYPE = "application/json", "application/yaml"
ACCEPT_CHARS_MAX = 4096  # a longer header is not parsed: it would only fill the cache


class View(Enum):
    """What the body shows of the objects."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"
    DISCOVERY = "APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write an answer; `version` is that of the view's own API (`v1`, `v2beta1`)."""

    view: View = View.OBJECT
    version: str = ""
    yaml: bool = False

    @property
    def content_type(self) -> str:
        if self.view is View.DISCOVERY:
            return f"{JSON_TYPE};g=apidiscovery.k8s.io;v={self.version};as={self.view.value}"
        return YAML_TYPE if self.yaml else JSON_TYPE


PLAIN = Form()
_GROUPS = {
    View.TABLE: ("meta.k8s.io", ("v1", "v1beta1")),
    View.METADATA: ("meta.k8s.io", ("v1", "v1beta1")),
    View.METADATA_LIST: ("meta.k8s.io", ("v1", "v1beta1")),
    View.DISCOVERY: ("apidiscovery.k8s.io", ("v2", "v2beta1")),
}
OBJECT_VIEWS = frozenset({View.OBJECT, View.TABLE, View.METADATA, View.METADATA_LIST})
DISCOVERY_VIEWS = frozenset({View.OBJECT, View.DISCOVERY})


@lru_cache(maxsize=256)
def choose(accept: str, views: frozenset[View] = OBJECT_VIEWS) -> Form:
    """The first acceptable form. No header accepts everything. NotAcceptable where nothing fits."""
    if not accept.strip():
        return PLAIN
    for media, parameters in _ranges(accept[:ACCEPT_CHARS_MAX]):
        form = _form(media, parameters, views)
        if form is not None:
            return form
    raise NotAcceptable(f"only the following media types are accepted: {JSON_TYPE}, {YAML_TYPE}")


def _ranges(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Media ranges with their parameters, heaviest first."""
    found: list[tuple[float, str, dict[str, str]]] = []
    for text in accept.split(","):
        media, *rest = (part.strip() for part in text.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        weight = _weight(parameters.pop("q", "1"))
        if weight > 0:
            found.append((weight, media.lower(), parameters))
    found.sort(key=lambda each: -each[0])
    return [(media, parameters) for _, media, parameters in found]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _form(media: str, parameters: dict[str, str], views: frozenset[View]) -> Form | None:
    if media in ("*/*", "application/*"):
        return PLAIN
    if media not in (JSON_TYPE, YAML_TYPE):
        return None
    yaml = media == YAML_TYPE
    name = parameters.get("as", "")
    if not name:
        return Form(yaml=yaml)
    view = next((each for each in views if each.value == name), None)
    if view is None:
        return None
    group, versions = _GROUPS[view]
    if parameters.get("g") != group or parameters.get("v") not in versions:
        return None
    return Form(view, parameters["v"], yaml)
