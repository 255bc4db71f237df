"""rabbitmq: the length of a queue over AMQP, lengths and rates of one or many over the management API.

Parameters are read in `rabbitmq_parameters`, numbers are judged in `rabbitmq_rates`, connections are shared in
`rabbitmq_broker`. RabbitMQ does not tell of a first message but by giving it away, so there is nothing to be pushed: a
queue is asked for its depth at each poll, which costs one round trip on a channel that stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote_plus

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_depths import Depths
from core.clients.rabbitmq_management import ClientCredentials, ManagementAccess
from core.clients.rabbitmq_terms import QueueCounts
from core.clock import Clock
from core.errors import TemporaryError
from scalers.base import Definition, Scaler, World
from scalers.metric_names import normalize
from scalers.rabbitmq_broker import Companion, Uncounted, borrow_statistics, statistics_key
from scalers.rabbitmq_parameters import (
    DEFAULT_TIMEOUT_S,
    Api,
    Operation,
    RabbitmqParameters,
    amqp_access,
    companion_apis,
    management_api,
    token_form,
    trust_of,
)
from scalers.rabbitmq_rates import Measure, Rate, compose, follow, judge
from scalers.readings import MetricType, Quality, Reading, Target, Trigger

STATISTICS_AGE_S: Final = 12.0
"""RabbitMQ's statistics may be so old: queues tell them every 5 s, they are gathered every 5 s, answers are shared."""


class HttpScaler:
    """A queue, or all that match, as the management API counts them."""

    def __init__(self, parameters: RabbitmqParameters, target: Target, world: World) -> None:
        api = management_api(parameters)
        self._parameters = parameters
        self._target = target
        self._measure = _measure(parameters)
        self._vhost = api.vhost
        self._clock = world.clock
        self._pools = world.pools
        self._access = management_access(parameters, api)
        self._statistics = borrow_statistics(world.pools, self._access, world.clock)
        if not parameters.regex:
            self._statistics.want(api.vhost, parameters.queue)
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
        if not self._parameters.regex:
            self._statistics.unwant(self._vhost, self._parameters.queue)
        await self._pools.give_back(statistics_key(self._access))

    async def _ask(self) -> Sequence[QueueCounts]:
        parameters, limit_s = self._parameters, self._parameters.timeout_s or DEFAULT_TIMEOUT_S
        if parameters.regex:
            return await self._statistics.matching(self._vhost, parameters.queue, parameters.page_size, limit_s)
        return (await self._statistics.queue(self._vhost, parameters.queue, limit_s),)


class AmqpScaler:
    """A queue's depth as AMQP tells it, exact and of this moment; what consumers hold as statistics tell it."""

    def __init__(self, parameters: RabbitmqParameters, target: Target, world: World) -> None:
        access = amqp_access(parameters)
        apis = companion_apis(parameters)
        self._queue = parameters.queue
        self._vhost = access.vhost
        self._target = target
        self._clock = world.clock
        self._pools = world.pools
        self._depths_key = ("rabbitmq depths", access)
        self._depths = world.pools.borrow(self._depths_key, _depths_maker(access, world.clock))
        accesses = tuple(management_access(parameters, api) for api in apis)
        self._companion_key = ("rabbitmq companion", accesses)
        self._companion = world.pools.borrow(self._companion_key, lambda: Companion(accesses, world.pools, world.clock))
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
        return Reading(float(waiting), quality=quality, note=f"unacknowledged messages are not counted: {counts.why}")
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


def management_access(parameters: RabbitmqParameters, api: Api) -> ManagementAccess:
    oauth = None
    if parameters.token_url:
        oauth = ClientCredentials(
            parameters.token_url,
            parameters.client_id,
            parameters.client_secret,
            tuple(each.strip() for each in parameters.scopes.split(",") if each.strip()),
            token_form(parameters.endpoint_params),
        )
    return ManagementAccess(api.url, api.user, api.password, trust_of(parameters), oauth)


def metric_name(queue: str) -> str:
    """`rabbitmq-namespace-2Fname`, as upstream spells it."""
    return normalize(f"rabbitmq-{quote_plus(queue)}")


def _depths_maker(access: Access, clock: Clock) -> Callable[[], Depths]:
    return lambda: Depths(access, "scaler", clock)


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
    return maker(parameters, target, world)


DEFINITION = Definition(RabbitmqParameters, _make, "Messages in queues of RabbitMQ, and their rates.")
