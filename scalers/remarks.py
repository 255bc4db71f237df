"""What scalers have to say of triggers before anything is read: for whoever writes a document, as warnings.

Admission and `pilotlight scaler check` call `remarks_on` with triggers whose authenticationRef and environment are not
looked up yet. KEDA tells these things in its log, when it runs; a document with them is not refused there either. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from math import ceil
from typing import Final

from core.errors import PermanentError
from core.resources.keda_annotations import CRON
from scalers.base import AnyDefinition
from scalers.params import (
    Parameters,
    check_written,
    declared_parameters,
    is_awaited,
    parse,
    unknown_parameters,
    written,
)
from scalers.readings import MetricType, Trigger

ACTIVATION: Final = "activation"
METRIC_NAME: Final = "metricName"  # of older KEDA: told of elsewhere
DESIRED: Final = "desiredReplicas"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the document says besides: `authenticated` where the trigger has an authenticationRef."""

    max_replicas: int
    authenticated: bool = False


def remarks_on(trigger: Trigger, definition: AnyDefinition, bounds: Bounds) -> list[str]:
    """One sentence each, with the field in front."""
    parameters = definition.parameters
    wrong = [str(error) for error in check_written(parameters, trigger, bounds.authenticated)]
    wrong += [] if wrong else _check_whole(trigger, definition, bounds.authenticated)
    strange = [
        f"{trigger.path}.metadata: {sentence}"
        for sentence in unknown_parameters(parameters, trigger.metadata)
        if repr(METRIC_NAME) not in sentence.partition(";")[0]
    ]
    contradictions = () if wrong else (*_check_activation(trigger, parameters, bounds), *_check_cron(trigger, bounds))
    return [*wrong, *strange, *contradictions]


def _check_whole(trigger: Trigger, definition: AnyDefinition, authenticated: bool) -> list[str]:
    """The definition's own check, where all parameters are there already."""
    declared = declared_parameters(definition.parameters).values()
    if definition.check is None or any(is_awaited(each, trigger, authenticated) for each in declared):
        return []
    parameters = parse(definition.parameters, trigger)
    try:
        definition.check(parameters, trigger)
    except PermanentError as error:
        return [str(error)]
    return []


def _check_activation(trigger: Trigger, parameters: type[Parameters], bounds: Bounds) -> Iterator[str]:
    """Work between the target and the activation value would ask for replicas, and never wakes the first."""
    numbers = _numbers(trigger, parameters)
    for name, activation in numbers.items():
        target_name = name.removeprefix(ACTIVATION)
        target_name = target_name[:1].lower() + target_name[1:]
        target = numbers.get(target_name, 0.0)
        if name == target_name or not 0 < target < activation or trigger.metric_type is MetricType.VALUE:
            continue
        asked = ceil(activation / target)
        said = f"{trigger.path}.metadata.{name}: is {activation:g}, above {target_name} {target:g}"
        if asked >= bounds.max_replicas:
            yield f"{said}: what wakes it asks for all {bounds.max_replicas} of maxReplicaCount at once"
        else:
            yield f"{said}: nothing wakes it before there is work for {asked} replicas"


def _numbers(trigger: Trigger, parameters: type[Parameters]) -> dict[str, float]:
    """Every parameter that is a number, by its name: as said, or as it is by default."""
    defaults = {each.name: each.default for each in fields(parameters) if each.default is not MISSING}
    found = {}
    for field, declared in declared_parameters(parameters).items():
        value = written(declared, trigger)
        value = defaults.get(field) if value is None else value
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[declared.name] = float(value)
    return found


def _check_cron(trigger: Trigger, bounds: Bounds) -> Iterator[str]:
    """A window that asks for more than there may be."""
    desired = trigger.metadata.get(DESIRED, "")
    if trigger.type == CRON and desired.isascii() and desired.isdigit() and int(desired) > bounds.max_replicas:
        yield (
            f"spec.maxReplicaCount: is {bounds.max_replicas}, below the {desired} of "
            f"{trigger.path}.metadata.{DESIRED}: so many there will never be"
        )
