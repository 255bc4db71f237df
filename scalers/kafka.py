"""kafka and apache-kafka: how far a consumer group lags behind its topics (pkg/scalers/kafka_scaler.go).

The lag is told as it is. That more replicas than partitions are of no use is `replicas_max`, an exact number, where
upstream cuts the lag down and comes out one above it or stays below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from core.clients.kafka_access import Access
from core.clients.kafka_oauth import OAuth
from core.clients.kafka_offsets import Offsets
from core.clients.kafka_positions import GroupPositions, GroupQuestion
from core.errors import PermanentError, TemporaryError
from scalers.base import AnyDefinition, Definition, World
from scalers.kafka_lag import Lag, LagRules, OffsetReset, Stood, measure, unbegun
from scalers.kafka_parameters import BEARER, PASSWORDS, ApacheKafkaParameters, KafkaParameters, check
from scalers.readings import MetricType, Quality, Reading, Target, Trigger

CLIENT_ID: Final = "pilotlight-scaler"


class KafkaScaler:
    """One group, in one topic, several, or all of its own."""

    def __init__(self, parameters: KafkaParameters, trigger: Trigger, world: World) -> None:
        self._parameters = parameters
        self._metric_type = trigger.metric_type or MetricType.AVERAGE_VALUE
        self._world = world
        self._key = ("kafka", access_of(parameters))
        self._offsets: Offsets | None = None
        self._question = GroupQuestion(parameters.group, parameters.topics)
        self._rules = rules_of(parameters)
        self._stood: Stood = {}

    async def targets(self) -> Sequence[Target]:
        chosen = self._parameters
        return (Target(chosen.metric, float(chosen.lag_threshold), float(chosen.activation), self._metric_type),)

    async def read(self) -> Sequence[Reading]:
        if self._parameters.unavailable:
            raise PermanentError(self._parameters.unavailable, "NotAvailable")
        if self._offsets is None:
            self._offsets = self._world.pools.borrow(self._key, lambda: Offsets(self._key[1], CLIENT_ID))
        found = await self._offsets.ask(self._question)
        if not self._question.topics and not found.begun:
            return (self._reading(unbegun(self._rules)),)
        lag, self._stood = measure(found, self._rules, self._stood, self._world.clock.monotonic())
        if not lag.known:
            raise TemporaryError(self._unknown(found, lag))
        return (self._reading(lag),)

    async def close(self) -> None:
        if self._offsets is not None:
            self._offsets = None
            await self._world.pools.give_back(self._key)

    def _reading(self, lag: Lag) -> Reading:
        chosen = self._parameters
        cap: int | None = lag.lagging if chosen.limit_to_lagging else lag.partitions
        if chosen.allow_idle and not chosen.even:
            cap = None
        return Reading(
            float(lag.counted),
            activation=float(lag.all),
            quality=Quality.WHOLE if lag.whole else Quality.PARTIAL,
            replicas_max=None if cap is None else max(cap, 1),
            shares=lag.partitions if chosen.even else None,
            produced=None if lag.produced is None else float(lag.produced),
            consumed=None if lag.consumed is None else float(lag.consumed),
            note=lag.note,
        )

    def _unknown(self, found: GroupPositions, lag: Lag) -> str:
        where = ",".join(self._parameters.servers)
        if found.positions and not lag.partitions:
            numbers = sorted(number for _, number in found.positions)
            return (
                f"partitionLimitation names no partition of {', '.join(self._parameters.topics)}, which has "
                f"{numbers[0]}-{numbers[-1]} at Kafka {where}"
            )
        if "UnknownTopicOrPartition" in found.missing.values():
            names = ", ".join(sorted(found.missing))
            return f"Kafka at {where} has no topic {names}; make it, or mend topic in the trigger's metadata"
        return f"Kafka at {where}: {lag.note}"


def rules_of(parameters: KafkaParameters) -> LagRules:
    return LagRules(
        OffsetReset(parameters.reset),
        parameters.invalid_is_zero,
        parameters.persistent_after_s if parameters.exclude_persistent else None,
        parameters.only if parameters.topics else None,
    )


def access_of(parameters: KafkaParameters) -> Access:
    """The same for all triggers of a cluster and a user, in whichever order they name its brokers."""
    tls = parameters.tls == "enable"
    oauth = None
    if parameters.sasl == BEARER:
        named = (parameters.token_url, parameters.username, parameters.password)
        oauth = OAuth(*named, parameters.scopes, parameters.extensions)
    mechanism = PASSWORDS.get(parameters.sasl) or ("OAUTHBEARER" if oauth else None)
    return Access(
        tuple(sorted(set(parameters.servers))),
        mechanism,
        parameters.username if mechanism else "",
        parameters.password if mechanism else "",
        tls=tls,
        ca=(parameters.ca or None) if tls else None,
        certificate=(parameters.certificate or None) if tls else None,
        key=(parameters.key or None) if tls else None,
        key_password=parameters.key_password if tls else "",
        check_certificate=not parameters.unsafe_ssl,
        oauth=oauth,
    )


DEFINITIONS: Final[Mapping[str, AnyDefinition]] = {
    "kafka": Definition(KafkaParameters, KafkaScaler, "The lag of a Kafka consumer group.", check=check),
    "apache-kafka": Definition(
        ApacheKafkaParameters, KafkaScaler, "The lag of a Kafka consumer group in several topics.", check=check
    ),
}
