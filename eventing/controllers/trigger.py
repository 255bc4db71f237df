"""Trigger → a subscription of its Broker, and its status."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from core.errors import AlreadyExists, PermanentError
from core.reconcile.controller import Controller, Watched, itself
from core.reconcile.references import References
from core.resources.conditions import Conditions, find_condition
from core.resources.eventing import BROKER, DEAD_LETTER_SINK_RESOLVED, TRIGGER, TRIGGER_CONDITIONS
from core.resources.eventing_labels import DEPENDENCY_ANNOTATION, INJECTED_LABEL, INJECTION_ANNOTATION
from core.resources.eventing_options import SubscriptionOptions, read_options
from core.resources.meta import AdmissionContext, Json, ObjectKey, key_of
from core.settings.config_maps import EVENTING_FEATURES
from core.store.base import WatchEvent
from eventing.controllers.resolving import Unresolved, followed, followed_sources, kind_of, referents, resolve
from eventing.controllers.world import World
from eventing.delivery import dead_letter_sink
from eventing.filters.clauses import Filter
from eventing.filters.dialects import compile_filters
from eventing.plans import Ends, broker_stream, plan_subscription, policy_of, start_of, trigger_name
from eventing.subscriptions import Append

BROKER_READY, SUBSCRIPTION_READY = "BrokerReady", "SubscriptionReady"
DEPENDENCY_READY, SUBSCRIBER_RESOLVED = "DependencyReady", "SubscriberResolved"
OIDC_READY = "OIDCIdentityCreated"
CROSS_NAMESPACE = "cross-namespace-event-links"


class TriggerReconciler:
    def __init__(self, world: World) -> None:
        self._world = world
        self._references = References()
        self._of_broker: dict[ObjectKey, set[ObjectKey]] = {}
        self._keeps: dict[ObjectKey, bool] = {}  # whether its position outlives it

    def controller(self) -> Controller:
        references = (*followed(self._references), *followed_sources(self._references))
        watches = [Watched(TRIGGER, itself), Watched(BROKER, self._triggers_of), *references]
        controller = Controller("trigger", self._world.store, self.reconcile, watches, self._world.clock)
        self._world.plane.follow("trigger/", lambda key: controller.enqueue(key))
        return controller

    async def reconcile(self, key: ObjectKey) -> None:
        trigger = await self._world.find_live(TRIGGER, key)
        if trigger is None:
            await self._forget(key)
            return
        broker_key = _broker_key(trigger)
        self._follow(key, broker_key, trigger)
        broker = await self._broker(trigger, broker_key)
        conditions = TRIGGER_CONDITIONS.manage(trigger.get("status"), self._world.now())
        status: Json = {"observedGeneration": trigger["metadata"].get("generation", 0)}
        _mark_broker(conditions, broker, broker_key)
        if broker is None and broker_key.namespace != key.namespace and not self._may_cross():
            said = (
                f"spec.brokerRef names namespace {broker_key.namespace}, and config-features has {CROSS_NAMESPACE} off"
            )
            conditions.mark_false(BROKER_READY, "CrossNamespaceDisabled", said)
        await self._mark_dependency(trigger, conditions)
        wanted = _compile(trigger, conditions)
        ends = await self._ends(trigger, broker, conditions, status)
        conditions.mark_true(OIDC_READY, "authentication-oidc feature disabled", "")
        try:
            await self._run(key, trigger, broker, wanted, ends, conditions)
        except PermanentError as error:  # its class of Broker cannot do what it asks for
            conditions.mark_false(SUBSCRIPTION_READY, error.reason, str(error))
        await self._world.write_status(TRIGGER, trigger, {**status, "conditions": conditions.to_json()})

    async def _broker(self, trigger: Json, key: ObjectKey) -> Json | None:
        """Made where the Trigger asks for that (eventing.knative.dev/injection), as by Knative's sugar controller."""
        if key.namespace != trigger["metadata"]["namespace"] and not self._may_cross():
            return None
        found = await self._world.find(BROKER, key)
        if found is not None:
            return None if "deletionTimestamp" in found["metadata"] else found
        if (trigger["metadata"].get("annotations") or {}).get(INJECTION_ANNOTATION) != "enabled":
            return None
        made: Json = {
            "apiVersion": BROKER.api_version,
            "kind": BROKER.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": {INJECTED_LABEL: "true"}},
            "spec": {},
        }
        assert BROKER.default is not None
        BROKER.default(made, AdmissionContext(self._world.settings()))
        try:
            broker = await self._world.store.create(BROKER, made)
        except AlreadyExists:
            return await self._world.find_live(BROKER, key)
        await self._world.recorder.event(trigger, "Normal", "BrokerCreated", f"Created Broker {key} for this Trigger")
        return broker

    def _may_cross(self) -> bool:
        return bool(self._world.settings()[EVENTING_FEATURES].cross_namespace == "enabled")

    async def _run(
        self,
        key: ObjectKey,
        trigger: Json,
        broker: Json | None,
        wanted: Filter | None,
        ends: Ends | None,
        conditions: Conditions,
    ) -> None:
        """Starts its deliveries, or holds them back: what comes meanwhile waits in the Broker."""
        plane, name = self._world.plane, trigger_name(key)
        if broker is None or conditions.is_false(BROKER_READY):
            await plane.hold(name)
            conditions.mark_unknown(SUBSCRIPTION_READY, "BrokerNotReady", "the Broker is not ready")
            return
        if wanted is None:
            await plane.hold(name)
            return
        if ends is None or not conditions.is_true(DEPENDENCY_READY):
            await plane.hold(name)
            options = read_options(SubscriptionOptions, trigger["metadata"].get("annotations") or {})
            await plane.reserve(name, broker_stream(_broker_key(trigger)), start_of(options))
            conditions.mark_unknown(SUBSCRIPTION_READY, "Waiting", "events wait until what is named below is there")
            return
        plan = plan_subscription(name, trigger, wanted, ends, policy_of(trigger, broker))
        await plane.put(plan, broker_stream(_broker_key(trigger)))
        if plane.is_gone(name):
            conditions.mark_false(
                SUBSCRIPTION_READY,
                "SubscriberGone",
                f"{ends.subscriber} answered 410 Gone: it wants no more events. Change the Trigger to try again",
            )
        else:
            conditions.mark_true(SUBSCRIPTION_READY)

    async def _ends(self, trigger: Json, broker: Json | None, conditions: Conditions, status: Json) -> Ends | None:
        world, namespace = self._world, trigger["metadata"]["namespace"]
        subscriber: str | None = None
        try:
            subscriber = await resolve(world, world.hosts, trigger["spec"]["subscriber"], namespace)
        except Unresolved as error:
            conditions.mark_false(SUBSCRIBER_RESOLVED, "Unable to get the Subscriber's URI", str(error))
        else:
            conditions.mark_true(SUBSCRIBER_RESOLVED)
            status["subscriberUri"] = subscriber
        sink: str | None = None
        own = trigger["spec"].get("delivery")
        destination = dead_letter_sink(own, broker["spec"].get("delivery") if broker else None)
        if destination is None:
            conditions.mark_true(
                DEAD_LETTER_SINK_RESOLVED, "DeadLetterSinkNotConfigured", "No dead letter sink is configured."
            )
        else:
            try:
                sink = await resolve(world, world.hosts, dict(destination), namespace)
            except Unresolved as error:
                conditions.mark_false(DEAD_LETTER_SINK_RESOLVED, "Unable to get the dead letter sink's URI", str(error))
                return None
            conditions.mark_true(DEAD_LETTER_SINK_RESOLVED)
            status["deadLetterSinkUri"] = sink
        if subscriber is None:
            return None
        return Ends(subscriber, Append(broker_stream(_broker_key(trigger))), sink)

    async def _mark_dependency(self, trigger: Json, conditions: Conditions) -> None:
        reference = _dependency(trigger)
        if reference is None:
            conditions.mark_true(DEPENDENCY_READY)
            return
        kind, namespace = kind_of(reference), trigger["metadata"]["namespace"]
        key = ObjectKey(reference.get("namespace") or namespace, reference.get("name") or "")
        obj = await self._world.find(kind, key) if kind is not None else None
        if obj is None:
            conditions.mark_false(
                DEPENDENCY_READY, "DependencyDoesNotExist", f"{reference.get('kind')} {key} does not exist"
            )
            return
        ready = find_condition(obj)
        reason = (ready or {}).get("reason") or "DependencyNotReady"
        if ready is None or ready["status"] == "Unknown":
            conditions.mark_unknown(DEPENDENCY_READY, reason, f"{reference.get('kind')} {key} is not ready yet")
        elif ready["status"] == "False":
            conditions.mark_false(DEPENDENCY_READY, reason, ready.get("message", ""))
        else:
            conditions.mark_true(DEPENDENCY_READY)

    async def _forget(self, key: ObjectKey) -> None:
        self._references.set(key, ())
        for triggers in self._of_broker.values():
            triggers.discard(key)
        await self._world.plane.drop(trigger_name(key), keep_position=self._keeps.get(key, False))
        self._keeps.pop(key, None)

    def _follow(self, key: ObjectKey, broker: ObjectKey, trigger: Json) -> None:
        namespace = key.namespace
        dependency = _dependency(trigger)
        sink = (trigger["spec"].get("delivery") or {}).get("deadLetterSink")
        destinations = [trigger["spec"].get("subscriber"), sink]
        named = referents([*destinations, {"ref": dependency} if dependency else None], namespace)
        self._references.set(key, named)
        self._of_broker.setdefault(broker, set()).add(key)
        options = read_options(SubscriptionOptions, trigger["metadata"].get("annotations") or {})
        self._keeps[key] = options.keep_cursor

    def _triggers_of(self, event: WatchEvent) -> Iterable[ObjectKey]:
        return tuple(self._of_broker.get(key_of(event.object), ()))


def _broker_key(trigger: Json) -> ObjectKey:
    spec, namespace = trigger["spec"], trigger["metadata"]["namespace"]
    reference = spec.get("brokerRef")
    if reference:
        return ObjectKey(reference.get("namespace") or namespace, reference.get("name") or "")
    return ObjectKey(namespace, spec.get("broker") or "default")


def _mark_broker(conditions: Conditions, broker: Json | None, key: ObjectKey) -> None:
    if broker is None:
        conditions.mark_false(BROKER_READY, "BrokerDoesNotExist", f'broker "{key.name}" not found in {key.namespace}')
        return
    ready = find_condition(broker)
    if ready is None or ready["status"] == "Unknown":
        conditions.mark_unknown(BROKER_READY, "BrokerUnknown", "the Broker has not been looked at yet")
    elif ready["status"] == "False":
        conditions.mark_false(BROKER_READY, ready.get("reason") or "BrokerNotReady", ready.get("message", ""))
    else:
        conditions.mark_true(BROKER_READY)


def _compile(trigger: Json, conditions: Conditions) -> Filter | None:
    """Fail closed: a filter that nobody can read lets nothing through."""
    compiled = compile_filters(trigger["spec"])
    if isinstance(compiled, Filter):
        return compiled
    said = "; ".join(f"{error.path}: {error.message}" for error in compiled)
    conditions.mark_false(SUBSCRIPTION_READY, "InvalidFilter", said)
    return None


def _dependency(trigger: Json) -> Json | None:
    text = (trigger["metadata"].get("annotations") or {}).get(DEPENDENCY_ANNOTATION)
    try:
        found: Any = json.loads(text) if text else None
    except ValueError:
        return None  # admission refuses it
    return found if isinstance(found, dict) else None
