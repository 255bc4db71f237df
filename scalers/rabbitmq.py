"""rabbitmq: the length of a queue over AMQP, lengths and rates of one or many over the management API.

Parameters are read in `rabbitmq_parameters`, numbers are judged in `rabbitmq_rates`, connections are shared in
`rabbitmq_broker`. RabbitMQ does not tell of a first message but by giving it away, so there is nothing to be pushed: a
queue is asked for its depth at each poll, on a channel that stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote_plus, urlsplit

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_depths import Depths
from core.clients.rabbitmq_management import ManagementAccess
from core.clients.rabbitmq_terms import QueueCounts
from core.errors import TemporaryError
from scalers.auth.tokens import TokenWay
from scalers.base import Definition, Scaler, World
from scalers.metric_names import normalize
from scalers.rabbitmq_broker import Api, Companion, Uncounted, borrow_statistics, statistics_key
from scalers.rabbitmq_parameters import (
    DEFAULT_TIMEOUT_S,
    Operation,
    Place,
    RabbitmqParameters,
    amqp_access,
    companion_apis,
    management_api,
    tls_of,
    token_form,
)
from scalers.rabbitmq_rates import Measure, Rate, compose, follow, judge
from scalers.readings import MetricType, Quality, Reading, Target, Trigger
from scalers.service_addresses import addresses_of, namespace_meant

STATISTICS_AGE_S: Final = 12.0
"""RabbitMQ's statistics may be so old: queues tell them every 5 s, they are gathered every 5 s, answers are shared."""


class HttpScaler:
    """A queue, or all that match, as the management API counts them."""

    def __init__(self, parameters: RabbitmqParameters, target: Target, trigger: Trigger, world: World) -> None:
        place = management_api(parameters)
        self._parameters = parameters
        self._target = target
        self._measure = _measure(parameters)
        self._vhost = place.vhost
        self._clock = world.clock
        self._pools = world.pools
        self._api = api_of(parameters, place, trigger)
        self._statistics = borrow_statistics(world, self._api)
        if not parameters.regex:
            self._statistics.want(place.vhost, parameters.queue)
        self._published: Rate | None = None
        self._delivered: Rate | None = None

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        queues = await self._ask()
        if len(queues) == 1 and queues[0].trouble:
            raise TemporaryError(queues[0].trouble)
        backlog = compose(queues, Operation(self._parameters.operation))
        now = self._clock.monotonic()
        self._published = follow(self._published, backlog.publish_rate, now)
        self._delivered = follow(self._delivered, backlog.deliver_rate, now)
        reading = judge(self._measure, backlog, self._published, self._delivered)
        if not queues:
            reading = replace(reading, note="no queue matches")
        return (reading,)

    async def close(self) -> None:
        parameters = self._parameters
        if parameters.regex:
            self._statistics.forget(self._vhost, parameters.queue, parameters.page_size)
        else:
            self._statistics.unwant(self._vhost, parameters.queue)
        await self._pools.give_back(statistics_key(self._api))

    async def _ask(self) -> Sequence[QueueCounts]:
        parameters, limit_s = self._parameters, self._parameters.timeout_s or DEFAULT_TIMEOUT_S
        if parameters.regex:
            return await self._statistics.matching(self._vhost, parameters.queue, parameters.page_size, limit_s)
        return (await self._statistics.queue(self._vhost, parameters.queue, limit_s),)


class AmqpScaler:
    """A queue's depth as AMQP tells it, exact and of this moment; what consumers hold as statistics tell it."""

    def __init__(self, parameters: RabbitmqParameters, target: Target, trigger: Trigger, world: World) -> None:
        access = amqp_access(parameters)
        namespace = namespace_meant(access.host, trigger.owner.namespace or "")
        self._queue = parameters.queue
        self._vhost = access.vhost
        self._target = target
        self._clock = world.clock
        self._pools = world.pools
        self._depths_key = ("rabbitmq depths", access, namespace)
        self._depths = world.pools.borrow(self._depths_key, _depths_maker(access, namespace, world))
        apis = tuple(api_of(parameters, place, trigger) for place in companion_apis(parameters))
        self._companion_key = ("rabbitmq companion", apis)
        self._companion = world.pools.borrow(self._companion_key, lambda: Companion(apis, world))
        self._companion.want(self._vhost, self._queue)
        self._waiting_at = -STATISTICS_AGE_S  # when messages were last seen to wait

    async def targets(self) -> Sequence[Target]:
        return (self._target,)

    async def read(self) -> Sequence[Reading]:
        counts = await self._companion.queue(self._vhost, self._queue)
        waiting = await self._depths.depth(self._queue)
        now = self._clock.monotonic()
        if waiting:
            self._waiting_at = now
        return (read_depth(waiting, counts, now - self._waiting_at),)

    async def close(self) -> None:
        self._companion.unwant(self._vhost, self._queue)
        await self._pools.give_back(self._companion_key)
        await self._pools.give_back(self._depths_key)


def read_depth(waiting: int, counts: QueueCounts | Uncounted, empty_s: float) -> Reading:
    """`empty_s`: for how long no message has been seen to wait."""
    if isinstance(counts, Uncounted):
        quality = Quality.PARTIAL if counts.missed else Quality.WHOLE
        return Reading(float(waiting), quality=quality, caveat=f"unacknowledged messages are not counted: {counts.why}")
    total = waiting + counts.unacknowledged
    reading = Reading(
        float(total),
        in_flight=float(counts.unacknowledged),
        produced=counts.published,
        consumed=counts.acknowledged,
    )
    if total or empty_s >= STATISTICS_AGE_S:
        return reading
    note = "the queue has just become empty; RabbitMQ's statistics do not tell yet what consumers hold"
    return replace(reading, quality=Quality.PARTIAL, in_flight=None, note=note)


def api_of(parameters: RabbitmqParameters, place: Place, trigger: Trigger) -> Api:
    way = None
    if parameters.token_url:
        way = TokenWay(
            parameters.token_url,
            parameters.client_id,
            parameters.client_secret,
            tuple(each.strip() for each in parameters.scopes.split(",") if each.strip()),
            token_form(parameters.endpoint_params),
            tls_of(parameters),
        )
    access = ManagementAccess(place.url, place.user, place.password, tls_of(parameters))
    host = urlsplit(place.url).hostname or ""
    return Api(access, way, namespace_meant(host, trigger.owner.namespace or ""))


def metric_name(queue: str) -> str:
    """`rabbitmq-namespace-2Fname`, as upstream spells it."""
    return normalize(f"rabbitmq-{quote_plus(queue)}")


def _depths_maker(access: Access, namespace: str, world: World) -> Callable[[], Depths]:
    async def find(address: str) -> str:
        return (await addresses_of(world.store, address, namespace))[0]

    return lambda: Depths(access, "scaler", world.clock, find)


def _measure(parameters: RabbitmqParameters) -> Measure:
    return Measure(parameters.measures, parameters.target, parameters.activation, parameters.exclude_unacknowledged)


def _make(parameters: RabbitmqParameters, trigger: Trigger, world: World) -> Scaler:
    target = Target(
        metric_name(parameters.queue),
        parameters.target,
        parameters.activation,
        trigger.metric_type or MetricType.AVERAGE_VALUE,
    )
    maker = HttpScaler if parameters.speaks_http else AmqpScaler
    return maker(parameters, target, trigger, world)


DEFINITION = Definition(RabbitmqParameters, _make, "Messages in queues of RabbitMQ, and their rates.")
