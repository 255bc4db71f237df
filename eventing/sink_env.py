"""What a SinkBinding tells the containers of its subjects: K_SINK, K_CE_OVERRIDES and K_CA_CERTS in their environment.

`Bindings` holds all SinkBindings whose sink is known. Admission asks it about every object that somebody writes, as
Kubernetes asks Knative's webhook, so that a Job is bound before it is made; `eventing/sources/sink_binding` asks about
what is there already. Of several bindings of one object the oldest counts. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from core.resources.batch import JOB
from core.resources.daemon_sets import DAEMON_SET
from core.resources.meta import Json, Kind, ObjectKey
from core.resources.selectors import selector_of
from core.resources.serving import CONFIGURATION, SERVICE
from core.resources.workloads import DEPLOYMENT

SUBJECTS: Final[Sequence[Kind[Any]]] = (DEPLOYMENT, DAEMON_SET, JOB, SERVICE, CONFIGURATION)
"""Every kind that is served here and has the template of a Pod where PodSpecables have it."""
VARIABLES: Final = ("K_SINK", "K_CE_OVERRIDES", "K_CA_CERTS")
EXCLUDE_LABEL: Final = "bindings.knative.dev/exclude"


@dataclass(frozen=True, slots=True)
class Binding:
    """A SinkBinding whose sink has a URL."""

    key: ObjectKey
    created: str
    subject: Json
    environment: tuple[tuple[str, str], ...]


def make_binding(obj: Json, url: str) -> Binding:
    spec, metadata = obj["spec"], obj["metadata"]
    overrides, authority = spec.get("ceOverrides"), (spec.get("sink") or {}).get("CACerts")
    environment = [("K_SINK", url), ("K_CE_OVERRIDES", orjson.dumps(overrides).decode() if overrides else "")]
    if authority:
        environment.append(("K_CA_CERTS", authority))
    key = ObjectKey(metadata["namespace"], metadata["name"])
    return Binding(key, metadata.get("creationTimestamp", ""), spec["subject"], tuple(environment))


def matches(subject: Json, namespace: str, kind: Kind[Any], obj: Json) -> bool:
    """Whether a binding in that namespace means this object, by name or by labels."""
    metadata = obj["metadata"]
    group = (subject.get("apiVersion") or "").rpartition("/")[0]
    if (kind.group, kind.kind) != (group, subject.get("kind")) or metadata.get("namespace") != namespace:
        return False
    labels = metadata.get("labels") or {}
    if labels.get(EXCLUDE_LABEL) == "true":
        return False
    if subject.get("name"):
        return bool(metadata.get("name") == subject["name"])
    return subject.get("selector") is not None and selector_of(subject["selector"]).matches(labels)


class Bindings:
    def __init__(self) -> None:
        self._bindings: dict[ObjectKey, Binding] = {}

    def put(self, binding: Binding) -> None:
        self._bindings[binding.key] = binding

    def drop(self, key: ObjectKey) -> None:
        self._bindings.pop(key, None)

    def of(self, kind: Kind[Any], obj: Json) -> Binding | None:
        """The binding in force."""
        if kind not in SUBJECTS or not self._bindings:
            return None
        found = [each for each in self._bindings.values() if matches(each.subject, each.key.namespace, kind, obj)]
        return min(found, key=lambda each: (each.created, each.key.name), default=None)

    def inject(self, kind: Kind[Any], obj: Json) -> None:
        """In place, into an object that somebody writes."""
        if (binding := self.of(kind, obj)) is not None:
            set_environment(obj, binding.environment)


def set_environment(obj: Json, environment: Iterable[tuple[str, str]]) -> None:
    """In place: these variables and no others of ours, in every container."""
    pod = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    added = [{"name": name, "value": value} for name, value in environment]
    for field in ("initContainers", "containers"):
        for container in pod.get(field) or ():
            others = [each for each in container.get("env") or () if each.get("name") not in VARIABLES]
            if others or added:
                container["env"] = [*others, *added]
            else:
                container.pop("env", None)
