"""nats-jetstream: what a consumer has to do, by the monitoring endpoint (pkg/scalers/nats_jetstream_scaler.go).

Counted are messages not delivered yet and those delivered and not acknowledged; the latter are in flight.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.settings.declaration import Text, Truth, Whole
from scalers.base import Definition, World
from scalers.http_access import HttpAccess, HttpParameters
from scalers.metric_names import normalize
from scalers.nats_monitoring import Monitoring, Place
from scalers.params import Parameters, Source, param
from scalers.readings import Reading, Target, Trigger

_AUTH_FIRST = (Source.AUTH, Source.METADATA)


@dataclass(frozen=True, slots=True)
class HostAndPort:
    allowed: str = "must be HOST or HOST:PORT, such as nats.nats.svc.cluster.local:8222"

    def read(self, text: str) -> str:
        if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s/:@?#]+)(:\d{1,5})?", text):
            raise ValueError
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsJetStreamParameters(Parameters):
    endpoint: str = param(
        "natsServerMonitoringEndpoint", HostAndPort(), "Where the server is monitored.", sources=_AUTH_FIRST
    )
    account: str = param("account", Text(), "Name of the account; $G without accounts.", "", sources=_AUTH_FIRST)
    account_id: str = param("accountID", Text(), "Its id, where that is not its name.", "", sources=_AUTH_FIRST)
    stream: str = param("stream", Text(), "Name of the stream.")
    consumer: str = param("consumer", Text(), "Name of the consumer, a durable one.")
    lag_threshold: int = param("lagThreshold", Whole(1, 2**63 - 1), "So many messages per replica.", 10)
    activation_lag_threshold: int = param(
        "activationLagThreshold", Whole(0, 2**63 - 1), "Active where there are more messages.", 0
    )
    use_https: bool = param("useHttps", Truth(), "HTTPS, by the authorities that this machine trusts.", False)

    def problems(self) -> Sequence[tuple[str, str]]:
        if self.account or self.account_id:
            return ()
        return (("account", "is required, or accountID: in the metadata or in the authenticationRef"),)


class NatsJetStreamScaler:
    def __init__(self, parameters: NatsJetStreamParameters, world: World, namespace: str) -> None:
        self._parameters = parameters
        self._world = world
        self._namespace = namespace
        self._place = Place(
            parameters.endpoint,
            parameters.account_id or parameters.account,
            parameters.account,
            parameters.use_https,
        )
        self._key = ("nats-jetstream", self._place, namespace)
        self._monitoring: Monitoring | None = None
        self._target = Target(
            normalize(f"nats-jetstream-{parameters.stream}"),
            float(parameters.lag_threshold),
            float(parameters.activation_lag_threshold),
        )

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        if self._monitoring is None:
            self._monitoring = self._world.pools.borrow(self._key, self._make_monitoring)
        found = await self._monitoring.consumer(self._parameters.stream, self._parameters.consumer)
        return (
            Reading(
                float(found.pending + found.in_hand),
                in_flight=float(found.in_hand),
                produced=float(found.deliveries + found.pending),
                consumed=float(found.deliveries - found.in_hand),
            ),
        )

    async def close(self) -> None:
        if self._monitoring is not None:
            self._monitoring = None
            await self._world.pools.give_back(self._key)

    def _make_monitoring(self) -> Monitoring:
        access = HttpAccess(HttpParameters(), self._world, self._namespace)
        return Monitoring(self._place, access, self._world.clock)


def _make(parameters: NatsJetStreamParameters, trigger: Trigger, world: World) -> NatsJetStreamScaler:
    return NatsJetStreamScaler(parameters, world, trigger.owner.namespace)


DEFINITION = Definition(NatsJetStreamParameters, _make, "What a consumer of NATS JetStream has to do.")
