"""What happened to an object of the API, as an event (knative.dev/eventing/pkg/adapter/apiserver/events). Pure.

    mode Resource   → dev.knative.apiserver.resource.{add,update,delete}, the object as data
    mode Reference  → dev.knative.apiserver.ref.{add,update,delete}, a reference to it

The id is the object's uid and resource version: the same change is the same event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from core.resources.meta import Json, Kind, controller_of
from core.resources.selectors import selector_of
from core.store.base import EventType, WatchEvent
from eventing.event import Event, Value

SOURCE: Final = "https://kubernetes.default.svc"
_VERBS: Final[Mapping[EventType, str]] = {
    EventType.ADDED: "add",
    EventType.MODIFIED: "update",
    EventType.DELETED: "delete",
}
TYPES: Final = {
    mode: [f"dev.knative.apiserver.{word}.{verb}" for verb in _VERBS.values()]
    for mode, word in (("Reference", "ref"), ("Resource", "resource"))
}


@dataclass(frozen=True, slots=True)
class Interest:
    """Objects of one kind that a source tells of. `namespaces` None: of all. `owner`: apiVersion and kind of whoever
    controls them."""

    kind: Kind[Any]
    selector: Json | None
    owner: tuple[str, str] | None
    namespaces: frozenset[str] | None

    def wants(self, obj: Json) -> bool:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        if self.namespaces is not None and namespace and namespace not in self.namespaces:
            return False
        if self.owner is not None:
            controller = controller_of(obj) or {}
            if (controller.get("apiVersion"), controller.get("kind")) != self.owner:
                return False
        return self.selector is None or selector_of(self.selector).matches(metadata.get("labels") or {})


def make_event(change: WatchEvent, kind: Kind[Any], mode: str, overrides: Mapping[str, Value | None]) -> Event:
    """`change` is no bookmark."""
    obj, metadata, verb = change.object, change.object["metadata"], _VERBS[change.type]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    reference = {"apiVersion": kind.api_version, "kind": kind.kind, "name": name}
    if namespace:
        reference["namespace"] = namespace
    data = {**obj, "apiVersion": kind.api_version, "kind": kind.kind} if mode == "Resource" else reference
    where = f"/namespaces/{namespace}" if namespace else ""
    attributes: dict[str, Value] = {
        "specversion": "1.0",
        "id": f"{metadata['uid']}-{change.resource_version}",
        "source": SOURCE,
        "type": f"dev.knative.apiserver.{'resource' if mode == 'Resource' else 'ref'}.{verb}",
        "subject": f"/apis/{kind.api_version}{where}/{kind.plural}/{name}",
        "datacontenttype": "application/json",
        "apiversion": kind.api_version,
        **{field: text for field, text in (("kind", kind.kind), ("name", name), ("namespace", namespace)) if text},
    }
    return Event(attributes, orjson.dumps(data)).with_attributes(**overrides)


def attributes_of(mode: str) -> Sequence[Json]:
    """For `status.ceAttributes`."""
    return [{"type": type, "source": SOURCE} for type in TYPES[mode]]
