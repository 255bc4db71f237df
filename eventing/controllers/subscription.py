"""Subscription → a subscription of its channel's stream, and its status."""

from __future__ import annotations

from typing import Final

from core.reconcile.controller import Controller, Watched, itself
from core.reconcile.references import References
from core.resources.conditions import Conditions, find_condition
from core.resources.eventing_labels import MESSAGING_GROUP
from core.resources.eventing_options import SubscriptionOptions, read_options
from core.resources.messaging import CHANNEL, IN_MEMORY_CHANNEL, SUBSCRIPTION, SUBSCRIPTION_CONDITIONS
from core.resources.meta import Json, ObjectKey
from eventing.controllers.in_memory_channel import channel_key
from eventing.controllers.resolving import Unresolved, followed, kind_of, referents, resolve
from eventing.controllers.world import World
from eventing.delivery import dead_letter_sink
from eventing.filters.clauses import everything
from eventing.plans import Ends, channel_stream, plan_subscription, policy_of, start_of, subscription_name
from eventing.subscriptions import Drop, SendOn

REFERENCES_RESOLVED: Final = "ReferencesResolved"
ADDED: Final = "AddedToChannel"
CHANNEL_READY: Final = "ChannelReady"
OIDC_READY: Final = "OIDCIdentityCreated"


class SubscriptionReconciler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._references = References()
        self._keeps: dict[ObjectKey, bool] = {}  # whether its position outlives it

    def controller(self) -> Controller:
        watches = [Watched(SUBSCRIPTION, itself), *followed(self._references)]
        controller = Controller("subscription", self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow("subscription/", lambda key: controller.enqueue(key))
        return controller

    async def reconcile(self, key: ObjectKey) -> None:
        subscription = await self._world.find_live(SUBSCRIPTION, key)
        if subscription is None:
            self._references.set(key, ())
            await self._world.plane.drop(subscription_name(key), keep_position=self._keeps.get(key, False))
            self._keeps.pop(key, None)
            return
        options = read_options(SubscriptionOptions, subscription["metadata"].get("annotations") or {})
        self._keeps[key] = options.keep_cursor
        conditions = SUBSCRIPTION_CONDITIONS.manage(subscription.get("status"), self._world.now())
        status: Json = {"observedGeneration": subscription["metadata"].get("generation", 0)}
        channel: Json | None = None
        lost = ""
        try:
            channel = await self._channel(subscription, conditions)
        except Unresolved as error:
            lost = str(error)
        sink = dead_letter_sink(
            subscription["spec"].get("delivery"), channel["spec"].get("delivery") if channel is not None else None
        )
        self._follow(key, subscription, sink)
        ends: Ends | None = None
        if lost:
            conditions.mark_false(REFERENCES_RESOLVED, "ChannelReferenceFailed", lost)
            conditions.mark_unknown(CHANNEL_READY, "ChannelReferenceFailed", lost)
        else:
            ends = await self._ends(subscription, sink, conditions, status)
        conditions.mark_true(OIDC_READY, "authentication-oidc feature disabled", "")
        await self._run(key, subscription, channel, ends, conditions)
        await self._world.write_status(SUBSCRIPTION, subscription, {**status, "conditions": conditions.to_json()})

    def _follow(self, key: ObjectKey, subscription: Json, sink: object) -> None:
        spec = subscription["spec"]
        destinations = [spec.get("subscriber"), spec.get("reply"), sink if isinstance(sink, dict) else None]
        named = referents([*destinations, {"ref": spec.get("channel")}], key.namespace)
        named.append((IN_MEMORY_CHANNEL, channel_key(subscription)))
        self._references.set(key, named)

    async def _channel(self, subscription: Json, conditions: Conditions) -> Json | None:
        """What has the events: the InMemoryChannel, also of a Channel; None where there is none yet. Unresolved."""
        world, key = self._world, channel_key(subscription)
        reference = subscription["spec"].get("channel") or {}
        kind = kind_of(reference)
        said = f"{reference.get('kind')} {key}"
        if kind not in (CHANNEL, IN_MEMORY_CHANNEL):
            raise Unresolved(f"{said}: spec.channel may name a Channel or an InMemoryChannel of {MESSAGING_GROUP}/v1")
        named = await world.find_live(kind, key)
        if named is None:
            raise Unresolved(
                f"{said} does not exist: `kubectl get {kind.plural} -n {key.namespace}` lists those that do"
            )
        backing = await world.find_live(IN_MEMORY_CHANNEL, key)
        if backing is None or (kind is CHANNEL and not (named.get("status") or {}).get("channel")):
            conditions.mark_unknown(CHANNEL_READY, "ChannelNotReady", f"{said} has not become a channel yet")
            return None
        missing = ("ChannelNotReady", f"{said} has not been looked at yet")
        conditions.copy_from(CHANNEL_READY, find_condition(named), missing)
        return backing

    async def _ends(self, subscription: Json, sink: object, conditions: Conditions, status: Json) -> Ends | None:
        spec, namespace = subscription["spec"], subscription["metadata"]["namespace"]
        found: dict[str, str] = {}
        for field, destination, reason in (
            ("subscriberUri", spec.get("subscriber"), "SubscriberResolveFailed"),
            ("replyUri", spec.get("reply"), "ReplyResolveFailed"),
            ("deadLetterSinkUri", sink, "DeadLetterSinkResolveFailed"),
        ):
            if not isinstance(destination, dict) or not destination:
                continue
            try:
                found[field] = await resolve(self._world, self._world.hosts, destination, namespace)
            except Unresolved as error:
                conditions.mark_false(REFERENCES_RESOLVED, reason, str(error))
                return None
        conditions.mark_true(REFERENCES_RESOLVED)
        status["physicalSubscription"] = found
        reply = SendOn(found["replyUri"]) if "replyUri" in found else Drop()
        return Ends(found.get("subscriberUri"), reply, found.get("deadLetterSinkUri"))

    async def _run(
        self, key: ObjectKey, subscription: Json, channel: Json | None, ends: Ends | None, conditions: Conditions
    ) -> None:
        """Starts its deliveries, or holds them back: what comes meanwhile waits in the channel."""
        plane, name, stream = self._world.plane, subscription_name(key), channel_stream(channel_key(subscription))
        if channel is None or plane.stream(stream) is None:
            await plane.hold(name)
            conditions.mark_unknown(ADDED, "ChannelNotReady", "the channel is not there yet")
            return
        if ends is None:
            await plane.hold(name)
            options = read_options(SubscriptionOptions, subscription["metadata"].get("annotations") or {})
            await plane.reserve(name, stream, start_of(options))
            conditions.mark_unknown(ADDED, "Waiting", "events wait in the channel until what is named is there")
            return
        policy = policy_of(subscription, channel)
        await plane.put(plan_subscription(name, subscription, everything(), ends, policy), stream)
        if plane.is_gone(name):
            said = f"{ends.subscriber} answered 410 Gone: it wants no more events. Change the Subscription to try again"
            conditions.mark_false(ADDED, "SubscriberGone", said)
        else:
            conditions.mark_true(ADDED)
