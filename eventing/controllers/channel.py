"""Channel → the channel that its template names, and what that one says of itself.

Here that is an InMemoryChannel of the same name; `default-ch-webhook` has filled the template in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import AlreadyExists, TemporaryError
from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.objects import is_controlled_by
from core.resources import pilotlight
from core.resources.conditions import Conditions, find_condition
from core.resources.eventing import ADDRESSABLE, DEAD_LETTER_SINK_RESOLVED, EVENT_POLICIES_READY
from core.resources.eventing_labels import MESSAGING_GROUP
from core.resources.messaging import CHANNEL, CHANNEL_CONDITIONS, IN_MEMORY_CHANNEL
from core.resources.meta import AdmissionContext, Json, ObjectKey, owner_reference
from eventing.controllers.world import World

BACKING_READY = "BackingChannelReady"
COPIED = ("address", "addresses", "deadLetterSinkUri", "subscribers")


class ChannelReconciler:
    def __init__(self, world: World) -> None:
        self._world = world

    def controller(self) -> Controller:
        watches = [Watched(CHANNEL, itself), Watched(IN_MEMORY_CHANNEL, owner(CHANNEL))]
        return Controller("channel", self._world.store, self.reconcile, watches, self._world.clock)

    async def reconcile(self, key: ObjectKey) -> None:
        channel = await self._world.find_live(CHANNEL, key)
        if channel is None:
            return
        conditions = CHANNEL_CONDITIONS.manage(channel.get("status"), self._world.now())
        status: Json = {"observedGeneration": channel["metadata"].get("generation", 0)}
        backing = await self._backing(key, channel, conditions)
        if backing is not None:
            template = channel["spec"]["channelTemplate"]
            status["channel"] = {
                "apiVersion": template["apiVersion"],
                "kind": template["kind"],
                "name": key.name,
                "namespace": key.namespace,
            }
            _propagate(backing, conditions, status)
        await self._world.write_status(CHANNEL, channel, {**status, "conditions": conditions.to_json()})

    async def _backing(self, key: ObjectKey, channel: Json, conditions: Conditions) -> Json | None:
        """The channel that it is, made or brought up to date; None, with the reason, where there is none."""
        template = channel["spec"].get("channelTemplate") or {}
        if (template.get("apiVersion"), template.get("kind")) != (IN_MEMORY_CHANNEL.api_version, "InMemoryChannel"):
            said = f"{template.get('kind')} of {template.get('apiVersion')}"
            conditions.mark_false(
                BACKING_READY,
                "ChannelFailure",
                f"no {said} is served here; spec.channelTemplate may be an InMemoryChannel of {MESSAGING_GROUP}/v1",
            )
            return None
        wanted = _child(channel)
        found = await self._world.find_live(IN_MEMORY_CHANNEL, key)
        if found is None:
            try:
                return await self._world.store.create(IN_MEMORY_CHANNEL, wanted)
            except AlreadyExists as error:
                raise TemporaryError(error.message) from error
        if not is_controlled_by(found, channel):
            conditions.mark_false(
                BACKING_READY, "ChannelFailure", f"InMemoryChannel {key} exists and does not belong to this Channel"
            )
            return None
        changed = _as_wanted(found, wanted)
        if changed == found:
            return found
        return await self._world.write(IN_MEMORY_CHANNEL, found, lambda current: _as_wanted(current, wanted))


def _child(channel: Json) -> Json:
    """With the Channel's delivery over the template's, and its annotations of ours."""
    metadata, spec = channel["metadata"], channel["spec"]
    child: Json = {
        "apiVersion": IN_MEMORY_CHANNEL.api_version,
        "kind": IN_MEMORY_CHANNEL.kind,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "annotations": _own(metadata.get("annotations") or {}),
            "ownerReferences": [owner_reference(CHANNEL, channel).to_json()],
        },
        "spec": {**(spec["channelTemplate"].get("spec") or {})},
    }
    if spec.get("delivery") is not None:
        child["spec"]["delivery"] = spec["delivery"]
    assert IN_MEMORY_CHANNEL.default is not None
    IN_MEMORY_CHANNEL.default(child, AdmissionContext())
    return child


def _as_wanted(found: Json, wanted: Json) -> Json:
    """What somebody else wrote into its annotations stays, ours go where the Channel's have gone."""
    metadata = found["metadata"]
    others = {name: value for name, value in (metadata.get("annotations") or {}).items() if not _is_own(name)}
    annotations = {**others, **wanted["metadata"]["annotations"]}
    return {**found, "metadata": {**metadata, "annotations": annotations}, "spec": wanted["spec"]}


def _own(annotations: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in annotations.items() if _is_own(name)}


def _is_own(name: str) -> bool:
    return name.startswith(pilotlight.PREFIX)


def _propagate(backing: Json, conditions: Conditions, status: Json) -> None:
    """What the other one says of itself, in this one's words."""
    found = backing.get("status") or {}
    status |= {name: found[name] for name in COPIED if name in found}
    missing = ("BackingChannelNotConfigured", "BackingChannel is not yet Ready")
    conditions.copy_from(BACKING_READY, find_condition(backing), missing)
    if (found.get("address") or {}).get("url"):
        conditions.mark_true(ADDRESSABLE)
    else:
        conditions.mark_unknown(ADDRESSABLE, "NoAddress", "Channel does not have an address.")
    for kind in (DEAD_LETTER_SINK_RESOLVED, EVENT_POLICIES_READY):
        conditions.copy_from(kind, find_condition(backing, kind), missing)
