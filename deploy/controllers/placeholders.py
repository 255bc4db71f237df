"""The core Services that stand for a Route's hosts: one per Route and per tag.

They keep the names from being taken, show in `kubectl get svc`, and carry the one setting that a user may make on
them: the label that makes a single tag cluster-local. Used by the Route controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from core.errors import AlreadyExists, TemporaryError
from core.reconcile.objects import is_controlled_by
from core.resources import serving_labels as labels
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json, ObjectKey, key_of
from core.resources.networking import Visibility
from deploy import route_status
from deploy.controllers.world import World
from deploy.hostnames import Naming, visibilities
from deploy.routes import make_placeholder
from deploy.traffic import DEFAULT_TAG


class Placeholders:
    """They are kept in memory: after a restart the status tells which of them had the label."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def visibilities(self, route: Json, tags: Iterable[str], naming: Naming) -> Mapping[str, Visibility]:
        known = {}
        wanted = {DEFAULT_TAG, *tags}
        for tag in wanted:
            stored = await self._world.find(CORE_SERVICE, _key(route, tag, naming))
            known[naming.hostname(route, tag)] = stored or _remember(route, tag, naming)
        return visibilities(route, wanted, known, naming)

    async def make(self, route: Json, tags: Iterable[str], naming: Naming) -> str:
        """The name of one that is another's; "" where all are the Route's own."""
        for tag in tags:
            stored = await self._world.find(CORE_SERVICE, _key(route, tag, naming))
            if stored is None:
                await self._create(route, _remember(route, tag, naming))
                continue
            if not is_controlled_by(stored, route):
                return key_of(stored).name
            if not _is_marked(stored, desired := make_placeholder(route, tag, naming)):
                await self._world.write(CORE_SERVICE, stored, partial(_marked, desired=desired))
        return ""

    async def drop(self, route: Json, tags: Iterable[str], naming: Naming) -> None:
        """Those of tags that the status still names and the Route no longer has."""
        for tag in route_status.remembered_tags(route) - {DEFAULT_TAG, *tags}:
            key = _key(route, tag, naming)
            stored = await self._world.find(CORE_SERVICE, key)
            if stored is not None and is_controlled_by(stored, route):
                await self._world.delete(CORE_SERVICE, key)

    async def _create(self, route: Json, desired: Json) -> None:
        try:
            await self._world.store.create(CORE_SERVICE, desired)
        except AlreadyExists as error:
            raise TemporaryError(error.message) from error
        message = f'Created placeholder service "{desired["metadata"]["name"]}"'
        await self._world.recorder.event(route, "Normal", "Created", message)


def _remember(route: Json, tag: str, naming: Naming) -> Json:
    """One that is not there, with the label that it had before."""
    placeholder = make_placeholder(route, tag, naming)
    if tag in route_status.remembered_local_tags(route) and not _is_local(route):
        metadata = placeholder["metadata"]
        metadata["labels"] = {**metadata["labels"], labels.VISIBILITY_LABEL: labels.CLUSTER_LOCAL}
    return placeholder


def _is_marked(stored: Json, desired: Json) -> bool:
    """Whether it carries all that the Route does. What it has besides is the user's, and stays."""
    return bool(_marked(stored, desired)["metadata"] == stored["metadata"])


def _marked(stored: Json, desired: Json) -> Json:
    wanted, present = desired["metadata"], stored["metadata"]
    marks = {kind: {**(present.get(kind) or {}), **wanted[kind]} for kind in ("labels", "annotations") if wanted[kind]}
    return {**stored, "metadata": {**present, **marks}}


def _is_local(route: Json) -> bool:
    return (route["metadata"].get("labels") or {}).get(labels.VISIBILITY_LABEL) == labels.CLUSTER_LOCAL


def _key(route: Json, tag: str, naming: Naming) -> ObjectKey:
    return ObjectKey(route["metadata"]["namespace"], naming.hostname(route, tag))
