"""DaemonSet (apps/v1), kept so that documents apply as they are: agents of a cluster's nodes, of which there are none.

Nothing runs it, and a warning says so. A ScaledObject of one hears that it cannot be scaled, as on a cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from core.errors import FieldError
from core.resources.core_v1 import AGE
from core.resources.fields import doc
from core.resources.meta import AdmissionContext, Json, Kind, Model, Resource
from core.resources.pod_rules import default_pod_spec
from core.resources.pod_validation import validate_pod_spec
from core.resources.pods import PodTemplate
from core.resources.problems import required
from core.resources.selectors import LabelSelectorModel

WITHOUT_EFFECT: Final = "DaemonSet: is kept and has no effect: nothing here is a node; use a Deployment"


class DaemonSetSpec(Model):
    selector: LabelSelectorModel = Field(
        default_factory=LabelSelectorModel,
        description="Which Pods would be its own.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    template: PodTemplate = Field(default_factory=PodTemplate, description="What Pods would be made from.")
    update_strategy: Json | None = doc("How Pods would be replaced.")
    min_ready_seconds: int | None = doc("Seconds a Pod would have to be ready to count as available.")
    revision_history_limit: int | None = doc("Old revisions to keep.")


class DaemonSet(Resource):
    spec: DaemonSetSpec = Field(default_factory=DaemonSetSpec, description="What would run on every node.")


def default_daemon_set(obj: Json, context: AdmissionContext) -> None:
    default_pod_spec(obj.setdefault("spec", {}).setdefault("template", {}).setdefault("spec", {}))


def validate_daemon_set(obj: Json, context: AdmissionContext) -> Sequence[FieldError]:
    spec = obj["spec"]
    selector = spec.get("selector") or {}
    errors = [] if selector.get("matchLabels") or selector.get("matchExpressions") else [required("spec.selector")]
    return errors + validate_pod_spec(spec["template"]["spec"], "spec.template.spec")


def warn_daemon_set(obj: Json, context: AdmissionContext) -> Sequence[str]:
    """Where it is new: not at every apply."""
    return () if context.old is not None else (WITHOUT_EFFECT,)


DAEMON_SET: Kind[DaemonSet] = Kind(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    model=DaemonSet,
    short_names=("ds",),
    status=False,
    default=default_daemon_set,
    validate=validate_daemon_set,
    warn=warn_daemon_set,
    columns=(AGE,),
)
