"""Subscribers that stand in a channel itself: the duck type by which other parts subscribe (`spec.subscribers`).

Knative's own Subscriptions are written there by their controller. Here they are not; this is for whoever else does so.
"""

from __future__ import annotations

from core.resources.meta import Json, ObjectKey
from eventing.controllers.resolving import Unresolved, resolve
from eventing.controllers.world import World
from eventing.filters.clauses import everything
from eventing.plans import Ends, channel_stream, plan_subscription, policy_of
from eventing.subscriptions import Drop, SendOn


class WrittenSubscribers:
    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, key: ObjectKey, channel: Json, sink: str | None) -> list[Json]:
        """Delivers to them, and to none that stood there before; how each of them is. `sink` is the channel's."""
        stream, plane = channel_stream(key), self._world.plane
        written = {f"{stream}/{each.get('uid')}": each for each in channel["spec"].get("subscribers") or ()}
        for name in [each for each in plane.streams_of if each.startswith(f"{stream}/") and each not in written]:
            await plane.drop(name)
        return [await self._run(name, each, channel, sink) for name, each in written.items()]

    async def _run(self, name: str, written: Json, channel: Json, sink: str | None) -> Json:
        namespace = channel["metadata"]["namespace"]
        status: Json = {"uid": written.get("uid"), "observedGeneration": written.get("generation", 0)}
        delivery = written.get("delivery") or {}
        try:
            if own := delivery.get("deadLetterSink"):
                sink = await resolve(self._world, self._world.hosts, own, namespace)
        except Unresolved as error:
            await self._world.plane.hold(name)
            return {**status, "ready": "False", "message": str(error)}
        reply = SendOn(written["replyUri"]) if written.get("replyUri") else Drop()
        as_subscription: Json = {"metadata": {"namespace": namespace}, "spec": {"delivery": delivery}}
        policy = policy_of(as_subscription, channel)
        ends = Ends(written.get("subscriberUri"), reply, sink)
        plan = plan_subscription(name, as_subscription, everything(), ends, policy)
        await self._world.plane.put(plan, channel_stream(ObjectKey(namespace, channel["metadata"]["name"])))
        return {**status, "ready": "True"}
