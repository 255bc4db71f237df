"""`spec.triggers`, which ScaledObject and ScaledJob share: types (apis/keda/v1alpha1/scaletriggers_types.go). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from core.resources.fields import doc
from core.resources.meta import Condition, Json, Model


class AuthenticationRef(Model):
    name: str = Field(description="Name of the object.")
    kind: str | None = doc("TriggerAuthentication or ClusterTriggerAuthentication; TriggerAuthentication.")


class ScaleTrigger(Model):
    type: str = Field(description="Which scaler counts, such as kafka.")
    name: str | None = doc("Its name, unique among the triggers; formulas call it by that.")
    use_cached_metrics: bool | None = doc("Read at the polling interval and never in between; false.")
    metadata: dict[str, str] = Field(description="The scaler's parameters; all values are text.")
    authentication_ref: AuthenticationRef | None = doc("Where further parameters come from: credentials.")
    metric_type: str | None = doc("AverageValue, Value, or Utilization for cpu and memory; AverageValue.")


class TriggersStatus(Model):
    """What the statuses of ScaledObject and ScaledJob have in common."""

    last_active_time: str | None = doc("When a trigger was last active.")
    conditions: list[Condition] | None = doc("What is true of the object, Ready above all.")
    triggers_types: str | None = doc("Types of its triggers.")
    authentications_types: str | None = doc("Names of the objects that they are authenticated by.")


def triggers_types(triggers: Sequence[Json]) -> str:
    """`status.triggersTypes`: each type once, in order."""
    return ",".join(dict.fromkeys(trigger["type"] for trigger in triggers))


def authentications_types(triggers: Sequence[Json]) -> str:
    """`status.authenticationsTypes`: the name of each reference once, in order."""
    references = (trigger.get("authenticationRef") or {} for trigger in triggers)
    return ",".join(dict.fromkeys(reference["name"] for reference in references if reference.get("name")))
