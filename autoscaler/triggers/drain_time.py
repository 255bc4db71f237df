"""`pilotlight.dev/drain-time: 30s`: as many replicas as it takes to be through with what waits in that time.

Of counters of what was produced and consumed two rates are learned: arrival, and service per replica while there was
work for all of them; n = (waiting / time + arrival) / service. Both are exponentially weighted means with standard
errors, and the cautious end of each is taken. Until they are known the threshold decides. Where more replicas have not
brought more throughput, their number stays at what that throughput takes, and is tried again after a while. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from autoscaler.triggers.demand import Basis, Demand, evenly, rounded_up
from autoscaler.triggers.reasons import Reason, Rule
from autoscaler.triggers.samples import Sample
from autoscaler.triggers.spec import ScalingSpec
from scalers.readings import MetricType, Reading

MEMORY_S: Final = 30.0
"""After so long a measurement has lost all but 37 % of its weight."""
KNOWN_COUNT: Final = 3
KNOWN_S: Final = 5.0
"""So many measurements over so many seconds make a rate known: some consumers commit every few seconds only."""
GAIN_MIN: Final = 0.1
"""Of what replicas bring on average, so much another one must bring."""
CREDIBLE: Final = 4.0
"""Times the rate as it is known, with three standard deviations."""
RETRY_S: Final = 600.0
"""So long the finding stands that more bring nothing."""
STEP: Final = 1.25
_STEPS_MAX: Final = 8


class Rate(NamedTuple):
    """A rate per second, as measured so far; `error` is the standard error of the mean."""

    mean: float = 0.0
    error: float = 0.0
    variance: float = 0.0
    measurements: int = 0
    seconds: float = 0.0

    @property
    def known(self) -> bool:
        return self.measurements >= KNOWN_COUNT and self.seconds >= KNOWN_S

    @property
    def credible(self) -> float:
        """What one measurement may say: a burst waits already, and need not come again. Several in a row convince."""
        return CREDIBLE * (self.mean + 3.0 * math.sqrt(self.variance)) if self.known and self.mean > 0 else math.inf

    def measured(self, value: float, seconds: float) -> Rate:
        """With one measurement more, taken over so many seconds."""
        weight = max(1.0 - math.exp(-seconds / MEMORY_S), 1.0 / (self.measurements + 1))
        off = value - self.mean
        variance = (1.0 - weight) * (self.variance + weight * off * off)
        error = math.sqrt(variance * weight / (2.0 - weight))
        return Rate(self.mean + weight * off, error, variance, self.measurements + 1, self.seconds + seconds)


class Ceiling(NamedTuple):
    """So many replicas bring what any number has brought."""

    replicas: int
    throughput: float
    until: float


class Flow(NamedTuple):
    """What is remembered of one metric: its last reading, and what was learned."""

    at: float
    reading: Reading
    ready: int
    arrival: Rate = Rate()
    service: Rate = Rate()  # per replica
    throughput: Mapping[int, Rate] | None = None  # by about how many were ready
    ceiling: Ceiling | None = None
    sized: int = 0  # replicas that a backlog was last sized for, at `sized_at`: kept until its time is over
    sized_at: float = 0.0


def apply(
    spec: ScalingSpec,
    flows: Mapping[str, Flow],
    ready: int,
    samples: Sequence[Sample],
    demands: Sequence[Demand],
) -> tuple[Mapping[str, Flow], list[Demand]]:
    """What has been learned, and the demands with those replaced that are now known by their rates."""
    learned: dict[str, Flow] = {}
    sized = list(demands)
    for place, (sample, demand) in enumerate(zip(samples, demands, strict=True)):
        reading, flow = sample.reading, flows.get(sample.metric)
        if demand.metric_type is not MetricType.AVERAGE_VALUE or reading is None:
            continue
        if demand.replicas is None or demand.at_least:
            if flow is not None:
                learned[sample.metric] = flow
            continue
        flow = learn(flow, reading, sample.read_at, ready)
        learned[sample.metric] = flow
        if flow.arrival.known and flow.service.known and flow.service.mean > 0:
            learned[sample.metric], sized[place] = size(spec, flow, demand)
    return learned, sized


def learn(flow: Flow | None, reading: Reading, at: float, ready: int) -> Flow:
    """With one reading more. Counters that went back have begun anew: that interval says nothing."""
    if flow is None:
        return Flow(at, reading, ready)
    if at <= flow.at:
        return flow
    seconds, before = at - flow.at, flow.reading
    arrived = _grown(before.produced, reading.produced)
    served = _grown(before.consumed, reading.consumed)
    arrival, service, throughput, ceiling = flow.arrival, flow.service, flow.throughput or {}, flow.ceiling
    if arrived is not None:
        arrival = arrival.measured(min(arrived / seconds, arrival.credible), seconds)
    fewer, more = sorted((flow.ready, ready))
    busy = fewer > 0 and more - fewer <= max(1, fewer // 4) and min(before.value, reading.value) >= more
    if served is not None and busy:
        rate = served / seconds
        service = service.measured(rate / ((fewer + more) / 2), seconds)
        throughput = _remembered(throughput, about(ready), rate, seconds)
        if flow.ceiling is None:
            ceiling = find_ceiling(throughput, ready, at)
    if ceiling is not None and at >= ceiling.until:
        ceiling, throughput = None, {}
    return Flow(at, reading, ready, arrival, service, throughput, ceiling, flow.sized, flow.sized_at)


def find_ceiling(throughput: Mapping[int, Rate], ready: int, at: float) -> Ceiling | None:
    """Whether as many as are ready bring no more than fewer did, even at the better end of the error."""
    now = throughput.get(about(ready))
    before = {n: rate.mean for n, rate in throughput.items() if n * STEP <= ready and rate.measurements >= KNOWN_COUNT}
    if now is None or now.measurements < KNOWN_COUNT or not any(before.values()):
        return None
    fewer = max(before)
    gain = (now.mean + now.error - before[fewer]) / (ready - fewer)
    if gain >= GAIN_MIN * before[fewer] / fewer:
        return None
    best = max(rate / n for n, rate in before.items())
    return Ceiling(min(ready, max(1, rounded_up(now.mean / best))), now.mean, at + RETRY_S)


@lru_cache(maxsize=4096)
def about(replicas: int) -> int:
    """One for all numbers of replicas that differ too little to compare what they bring."""
    if replicas <= 0:
        return 0
    return round(STEP ** round(math.log(replicas, STEP)))


def size(spec: ScalingSpec, flow: Flow, demand: Demand) -> tuple[Flow, Demand]:
    """The demand by the rates: (waiting / time + arrival) / service, each at its cautious end.

    What a backlog was sized for stays until its time is over: sized anew with each message that has gone, it would only
    be through by a third in that time.
    """
    time_s = spec.drain_time_s or 1.0
    waiting = max(0.0, flow.reading.value)
    arrival = flow.arrival.mean + flow.arrival.error
    service = max(flow.service.mean - flow.service.error, flow.service.mean / 2.0)
    wanted = rounded_up((waiting / time_s + arrival) / service)
    if wanted < flow.sized and flow.at < flow.sized_at + time_s and waiting > arrival:
        wanted = flow.sized
    else:
        flow = flow._replace(sized=wanted, sized_at=flow.at)
    asked, remarks = wanted, []
    if flow.ceiling is not None and asked > flow.ceiling.replicas:
        asked = flow.ceiling.replicas
        remarks.append(Reason(Rule.NO_MORE_THROUGHPUT, (demand.metric, asked, wanted, flow.ceiling.throughput)))
    if demand.most is not None and asked > demand.most:
        remarks.append(Reason(Rule.METRIC_CAP, (demand.metric, demand.most, asked)))
        asked = demand.most
    if demand.shares:
        even = evenly(demand.shares, asked)
        if even < asked:
            remarks.append(Reason(Rule.EVEN_SHARES, (demand.metric, even, asked, demand.shares)))
        asked = even
    granted = min(asked, spec.max_replicas)
    if granted < wanted and flow.ready:
        takes = _takes(flow, waiting, granted)
        if takes is None or takes > time_s:
            missed = "never" if takes is None else f"takes {takes:.0f}s"
            remarks.append(Reason(Rule.DRAIN_TIME_MISSED, (demand.metric, time_s, granted, missed)))
    sized = demand._replace(
        replicas=asked,
        basis=Basis.DRAIN_TIME,
        wanted=wanted,
        tolerated=False,
        remarks=tuple(remarks),
        rates=(waiting, time_s, arrival, service),
    )
    return flow, sized


def _takes(flow: Flow, waiting: float, replicas: int) -> float | None:
    """Seconds in which so many are through; None: never."""
    gain = flow.service.mean * replicas - flow.arrival.mean
    return waiting / gain if gain > 0 else None


def _grown(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or after < before:
        return None
    return after - before


def _remembered(throughput: Mapping[int, Rate], replicas: int, rate: float, seconds: float) -> Mapping[int, Rate]:
    """The newest few, the newest last."""
    measured = dict(throughput)
    measured[replicas] = measured.pop(replicas, Rate()).measured(rate, seconds)
    if len(measured) > _STEPS_MAX:
        del measured[next(iter(measured))]
    return measured
