"""Writes an Ingress, and says that it is in force.

The gateway follows the same change feed and has no way to refuse, so whoever writes an Ingress may call it ready. An
ingress of another make would report that itself.
"""

from __future__ import annotations

from core.errors import AlreadyExists, TemporaryError
from core.resources.conditions import TRUE, ConditionSet, is_current_and
from core.resources.meta import Json, key_of
from core.resources.networking import INGRESS
from deploy.controllers.world import World

CONDITIONS = ConditionSet(("NetworkConfigured", "LoadBalancerReady"))


async def apply_ingress(world: World, owner: Json, desired: Json, stored: Json | None) -> Json:
    """The Ingress as it is stored now, ready."""
    if stored is None:
        ingress = await _create(world, owner, desired)
    elif _is_same(stored, desired):
        ingress = stored
    else:
        ingress = await world.write(INGRESS, stored, lambda old: _updated(old, desired)) or stored
    if not is_current_and(ingress, TRUE):
        status = _in_force(ingress, ingress["metadata"].get("generation"), world.now())
        await world.write_status(INGRESS, ingress, status)
        ingress = {**ingress, "status": status}
    return ingress


async def _create(world: World, owner: Json, desired: Json) -> Json:
    # A store of this machine keeps the status as well: one write to wait for, and not two.
    whole = {**desired, "status": _in_force(desired, 1, world.now())}
    try:
        created = await world.store.create(INGRESS, whole)
    except AlreadyExists as error:
        raise TemporaryError(error.message) from error
    message = f'Created Ingress "{key_of(created).name}"'
    await world.recorder.event(owner, "Normal", "Created", message)
    return created


def _in_force(ingress: Json, generation: int | None, now: str) -> Json:
    conditions = CONDITIONS.manage(ingress.get("status"), now)
    for kind in CONDITIONS.dependents:
        conditions.mark_true(kind)
    return {"conditions": conditions.to_json(), "observedGeneration": generation}


def _is_same(stored: Json, desired: Json) -> bool:
    wanted, present = desired["metadata"], stored["metadata"]
    return bool(
        stored["spec"] == desired["spec"]
        and (present.get("annotations") or {}) == wanted.get("annotations", {})
        and (present.get("labels") or {}) == wanted.get("labels", {})
    )


def _updated(old: Json, desired: Json) -> Json:
    wanted = desired["metadata"]
    marks = {"annotations": wanted.get("annotations", {}), "labels": wanted.get("labels", {})}
    return {**old, "metadata": {**old["metadata"], **marks}, "spec": desired["spec"]}
