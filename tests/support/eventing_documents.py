"""Documents of eventing's kinds, and what admission makes of them."""

from __future__ import annotations

import copy
from typing import Any

from core.resources.knative_errors import sentences
from core.resources.meta import AdmissionContext, Json, Kind

SINK: Json = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "f"}}


def document(spec: Json, annotations: Json | None = None) -> Json:
    metadata: Json = {"name": "x", "namespace": "ns"} | ({"annotations": annotations} if annotations else {})
    return {"metadata": metadata, "spec": copy.deepcopy(spec)}


def admitted(kind: Kind[Any], obj: Json, **context: Any) -> Json:
    """Schema and defaults; the defaults once more change nothing."""
    result = copy.deepcopy(obj)
    kind.model.model_validate({**result, "apiVersion": kind.api_version, "kind": kind.kind})
    kind.default(result, AdmissionContext(**context))
    once = copy.deepcopy(result)
    kind.default(result, AdmissionContext(**context))
    assert result == once
    kind.model.model_validate({**result, "apiVersion": kind.api_version, "kind": kind.kind})
    return result


def refusal(kind: Kind[Any], obj: Json, old: Json | None = None) -> str:
    """The whole refusal, as Knative prints it; empty for what is accepted."""
    return sentences(kind.validate(admitted(kind, obj, old=old), AdmissionContext(old=old)))
