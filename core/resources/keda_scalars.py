"""Numbers and truths that stand in a document of KEDA where its schema has text.

Examples of KEDA's own pages write `allowIdleConsumers: false` and `targetQueryValue: 1`, which a cluster refuses. Here
they count as the text that they were meant to be: admission calls `spell_scalars` before it looks at types, and hands
the sentences on as warnings. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from core.resources.meta import Json

_TEXTS: Final = {
    "spec.advanced.scalingModifiers": ("target", "activationTarget"),
    "spec.scalingStrategy": ("customScalingRunningJobPercentage",),
}
_WHOLE_BELOW: Final = 1e15
"""From there on a float of JSON does not hold every whole number."""


def spell_scalars(obj: Json) -> list[str]:
    """Puts text in their place; one sentence for each part of the document that had some."""
    sentences = []
    for path, holder, names in _texts(obj):
        scalars = [name for name in names if isinstance(holder.get(name), bool | int | float)]
        holder.update({name: text_of(holder[name]) for name in scalars})
        if scalars:
            said = "taken as if quoted; KEDA's CRD takes nothing but text there"
            sentences.append(f"{path}: {', '.join(scalars)}: {said}")
    return sentences


def text_of(scalar: bool | int | float) -> str:
    """As it stood in the YAML, as far as JSON kept it: `1.0` has become 1 on its way here."""
    if isinstance(scalar, bool):
        return "true" if scalar else "false"
    if isinstance(scalar, float) and scalar.is_integer() and abs(scalar) < _WHOLE_BELOW:
        return str(int(scalar))
    return str(scalar)


def _texts(obj: Json) -> Iterator[tuple[str, Json, list[str]]]:
    """(path, what stands there, its fields that are text): of what has the right shape so far."""
    for path, names in _TEXTS.items():
        found: Any = obj
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            yield path, found, list(names)
    spec = obj.get("spec")
    triggers = spec.get("triggers") if isinstance(spec, dict) else None
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
        metadata = trigger.get("metadata") if isinstance(trigger, dict) else None
        if isinstance(metadata, dict):
            yield f"spec.triggers[{index}].metadata", metadata, list(metadata)
