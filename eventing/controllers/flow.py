"""Sequence and Parallel → a stream with a subscription per step or branch, its address, its status.

The two differ in what their legs are (`eventing/flows.py`) and in the shape of their status (`FlowKind`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from core.reconcile.controller import Controller, Watched, itself, owner
from core.reconcile.references import References
from core.resources.child_names import child_name
from core.resources.conditions import FALSE, TRUE, Conditions, ConditionSet
from core.resources.core_services import CORE_SERVICE
from core.resources.eventing import ADDRESSABLE, EVENT_POLICIES_READY
from core.resources.eventing_labels import PILOTLIGHT_CLASS
from core.resources.eventing_options import BrokerOptions, DeliveryOptions, read_options
from core.resources.flows import PARALLEL, PARALLEL_CONDITIONS, SEQUENCE, SEQUENCE_CONDITIONS
from core.resources.meta import Json, Kind, ObjectKey
from eventing.brokers.base import Interest
from eventing.controllers.channel_hosts import RETRY_S, HostTaken, claim, host_of
from eventing.controllers.inlets import Inlets
from eventing.controllers.resolving import Unresolved, followed, referents, resolve
from eventing.controllers.world import World
from eventing.delivery import dead_letter_sink, merge, part_of
from eventing.flows import FILTER, Leg, flow_stream, parallel_legs, sequence_legs
from eventing.log.base import NOW
from eventing.subscriptions import Append, Drop, ReplyRule, SendOn, Subscription

CHANNELS_READY: Final = "ChannelsReady"
SUBSCRIPTIONS_READY: Final = "SubscriptionsReady"


@dataclass(frozen=True, slots=True)
class Told:
    """How one leg is: without a reason, it delivers."""

    leg: Leg
    reason: str = ""
    message: str = ""


Describe: TypeAlias = Callable[[Callable[[Leg | None], Json], Callable[[Told], Json], Sequence[Told]], Json]
"""How a leg's way in is told, how a leg is told, and all legs → the flow's own part of the status."""


@dataclass(frozen=True, slots=True)
class FlowKind:
    """`sort` begins the names of its streams; `door` ends those of its hosts, as upstream."""

    kind: Kind[Any]
    conditions: ConditionSet
    sort: str
    door: str
    legs: Callable[[Json], Sequence[Leg]]
    describe: Describe


def _describe_sequence(
    way: Callable[[Leg | None], Json], leg: Callable[[Told], Json], all_told: Sequence[Told]
) -> Json:
    return {
        "channelStatuses": [way(told.leg) for told in all_told],
        "subscriptionStatuses": [leg(told) for told in all_told],
    }


def _describe_parallel(
    way: Callable[[Leg | None], Json], leg: Callable[[Told], Json], all_told: Sequence[Told]
) -> Json:
    branches: dict[str, Json] = {}
    for told in all_told:
        number, _, part = told.leg.name.partition("/")
        branch = branches.setdefault(number, {"filterChannelStatus": way(told.leg)})
        branch["filterSubscriptionStatus" if part == FILTER else "subscriberSubscriptionStatus"] = leg(told)
    return {"ingressChannelStatus": way(None), "branchStatuses": list(branches.values())}


SEQUENCES: Final = FlowKind(
    SEQUENCE, SEQUENCE_CONDITIONS, "sequence", "-kn-sequence-0-kn-channel", sequence_legs, _describe_sequence
)
PARALLELS: Final = FlowKind(
    PARALLEL, PARALLEL_CONDITIONS, "parallel", "-kn-parallel-kn-channel", parallel_legs, _describe_parallel
)


class FlowReconciler:
    def __init__(self, world: World, inlets: Inlets, flow_kind: FlowKind) -> None:
        self._world = world
        self._inlets = inlets
        self._flow_kind = flow_kind
        self._references = References()

    def controller(self) -> Controller:
        kind = self._flow_kind.kind
        watches = [Watched(kind, itself), Watched(CORE_SERVICE, owner(kind)), *followed(self._references)]
        sort = self._flow_kind.sort
        controller = Controller(sort, self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow(f"{sort}/", lambda key: controller.enqueue(key))
        return controller

    async def reconcile(self, key: ObjectKey) -> float | None:
        flow_kind, world = self._flow_kind, self._world
        flow = await world.find_live(flow_kind.kind, key)
        stream = flow_stream(flow_kind.sort, key)
        if flow is None:
            self._references.set(key, ())
            world.doors.close_channel(host_of(self._service(key)), stream)
            await self._inlets.close(stream, forget=True)
            return None
        legs = flow_kind.legs(flow["spec"])
        self._follow(key, flow, legs)
        conditions = flow_kind.conditions.manage(flow.get("status"), world.now())
        status: Json = {"observedGeneration": flow["metadata"].get("generation", 0)}
        options = read_options(DeliveryOptions, flow["metadata"].get("annotations") or {})
        entrance = await self._inlets.open(
            stream,
            flow,
            world.brokers[PILOTLIGHT_CLASS],
            BrokerOptions(backlog_max=options.backlog_max),
            PILOTLIGHT_CLASS,
        )
        conditions.mark_true(CHANNELS_READY)
        told = [await self._run(stream, flow, leg) for leg in reversed(legs)][::-1]  # nothing goes on to nobody
        await self._drop_others(stream, legs)
        _mark_legs(conditions, told)
        try:
            await claim(world, flow_kind.kind, flow, self._service(key))
        except HostTaken as error:
            world.doors.close_channel(host_of(self._service(key)), stream)
            conditions.mark_false(ADDRESSABLE, "HostTaken", str(error))
        else:
            host = host_of(self._service(key))
            world.doors.open_channel(host, stream, entrance)
            status["address"] = {"name": "http", "url": world.hosts.local_url(host)}
            conditions.mark_true(ADDRESSABLE)
        conditions.mark_true(EVENT_POLICIES_READY, "DefaultAuthorizationMode", "every event of this platform is let in")
        status |= flow_kind.describe(self._tell_way(flow), self._tell_leg(flow), told)
        await world.write_status(flow_kind.kind, flow, {**status, "conditions": conditions.to_json()})
        return None if conditions.is_true(ADDRESSABLE) else RETRY_S

    async def _run(self, stream: str, flow: Json, leg: Leg) -> Told:
        """Starts a leg, or holds it back: what comes for it meanwhile waits."""
        plane, name = self._world.plane, f"{stream}/{leg.name}"
        try:
            plan = await self._plan(stream, flow, leg)
        except Unresolved as error:
            await plane.hold(name)
            await plane.reserve(name, stream, NOW)
            return Told(leg, "ReferencesNotResolved", str(error))
        if _leads_to(plan, self._address(flow)):
            await plane.hold(name)
            await plane.reserve(name, stream, NOW)
            said = f"it is this {self._flow_kind.kind.kind} itself: an event would go round until its hops are spent"
            return Told(leg, "Cyclic", said)
        await plane.put(plan, stream)
        if plane.is_gone(name):
            said = f"{plan.subscriber} answered 410 Gone: it wants no more events. Change {leg.path} to try again"
            return Told(leg, "SubscriberGone", said)
        return Told(leg)

    async def _plan(self, stream: str, flow: Json, leg: Leg) -> Subscription:
        """Unresolved."""
        namespace, annotations = flow["metadata"]["namespace"], flow["metadata"].get("annotations") or {}
        template = _template_delivery(flow)
        jitter = read_options(DeliveryOptions, annotations).backoff_jitter
        sink = dead_letter_sink(leg.delivery, template)
        reply: ReplyRule = Drop()
        if leg.next:
            reply = Append(stream, leg.next)
        elif leg.reply:
            reply = SendOn(await self._resolve(leg.reply, namespace))
        return Subscription(
            interest=Interest(f"{stream}/{leg.name}", leg.wanted, leg.wanted.text, NOW),
            namespace=namespace,
            subscriber=await self._resolve(leg.subscriber, namespace),
            reply=reply,
            policy=merge(part_of(leg.delivery, jitter), part_of(template)),
            dead_letter_sink=await self._resolve(dict(sink), namespace) if sink else None,
        )

    async def _resolve(self, destination: Json, namespace: str) -> str:
        return await resolve(self._world, self._world.hosts, destination, namespace)

    async def _drop_others(self, stream: str, legs: Sequence[Leg]) -> None:
        """Of steps and branches that there are no more, with what waited for them."""
        current = {f"{stream}/{leg.name}" for leg in legs}
        plane = self._world.plane
        for name in [each for each, its_stream in plane.streams_of.items() if its_stream == stream]:
            if name not in current:
                await plane.drop(name)

    def _follow(self, key: ObjectKey, flow: Json, legs: Sequence[Leg]) -> None:
        destinations: list[Json | None] = [(_template_delivery(flow) or {}).get("deadLetterSink")]
        for leg in legs:
            sink = (leg.delivery or {}).get("deadLetterSink")
            destinations += [leg.subscriber, leg.reply, sink]
        self._references.set(key, referents(destinations, key.namespace))

    def _service(self, key: ObjectKey) -> ObjectKey:
        return ObjectKey(key.namespace, child_name(key.name, self._flow_kind.door))

    def _address(self, flow: Json) -> str:
        metadata = flow["metadata"]
        return self._world.hosts.local_url(host_of(self._service(ObjectKey(metadata["namespace"], metadata["name"]))))

    def _tell_way(self, flow: Json) -> Callable[[Leg | None], Json]:
        def tell(leg: Leg | None) -> Json:
            return {"channel": self._reference(flow, leg), "ready": {"type": "Ready", "status": TRUE}}

        return tell

    def _tell_leg(self, flow: Json) -> Callable[[Told], Json]:
        def tell(told: Told) -> Json:
            ready = {"type": "Ready", "status": TRUE}
            if told.reason:
                ready = {"type": "Ready", "status": FALSE, "reason": told.reason, "message": told.message}
            return {"subscription": self._reference(flow, told.leg), "ready": ready}

        return tell

    def _reference(self, flow: Json, leg: Leg | None) -> Json:
        """There is no object of its own; this is where the flow speaks of it."""
        kind, metadata = self._flow_kind.kind, flow["metadata"]
        reference = {"apiVersion": kind.api_version, "kind": kind.kind}
        named = {"name": metadata["name"], "namespace": metadata["namespace"]}
        return {**reference, **named, **({"fieldPath": leg.path} if leg is not None else {})}


def _template_delivery(flow: Json) -> Json | None:
    """What stands behind the delivery of each leg."""
    template = flow["spec"].get("channelTemplate") or {}
    return (template.get("spec") or {}).get("delivery")


def _leads_to(plan: Subscription, address: str) -> bool:
    return address in (plan.subscriber, plan.reply.url if isinstance(plan.reply, SendOn) else "")


def _mark_legs(conditions: Conditions, all_told: Sequence[Told]) -> None:
    failed = next((told for told in all_told if told.reason), None)
    if failed is None:
        conditions.mark_true(SUBSCRIPTIONS_READY)
    else:
        conditions.mark_false(SUBSCRIPTIONS_READY, failed.reason, f"{failed.leg.path}: {failed.message}")
