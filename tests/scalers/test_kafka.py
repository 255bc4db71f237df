"""kafka and apache-kafka over a real Kafka: what is read of a group, with nothing committed, truncated, or gone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping

import pytest
from kafka import TopicPartition
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from core.clients import kafka_wire
from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from core.errors import PermanentError, TemporaryError
from core.resources.meta import ObjectKey
from core.stats import StatisticBus
from core.store.memory import MemoryStore
from scalers.base import World
from scalers.kafka import KafkaScaler, access_of
from scalers.params import parse
from scalers.pools import Pools
from scalers.readings import MetricType, Quality, Reading, Target, Trigger
from scalers.registry import definition_of
from tests.support.clock import FakeClock
from tests.support.kafka import PASSWORD, USER, commit, kafka_server

_numbers = itertools.count()


class Bench:
    """Topics, groups and scalers of one test."""

    def __init__(self) -> None:
        self.server = kafka_server()
        self.clock = FakeClock()
        self.world = World(self.clock, MemoryStore((), self.clock), StatisticBus(), Pools())
        self.admin = Admin(self.server.access, "test")
        self.group = f"scaler-group-{next(_numbers)}"
        self.topic = f"scaler-topic-{next(_numbers)}"
        self._scalers: list[KafkaScaler] = []

    async def __aenter__(self) -> Bench:
        return self

    async def __aexit__(self, *_: object) -> None:
        for scaler in self._scalers:
            await scaler.close()
        assert len(self.world.pools) == 0
        await self.admin.close()

    def scaler(self, type_: str = "kafka", auth: Mapping[str, str] | None = None, **metadata: str) -> KafkaScaler:
        named = {"bootstrapServers": self.server.bootstrap, "consumerGroup": self.group, "topic": self.topic}
        named = {name: text for name, text in {**named, **metadata}.items() if text}
        definition = definition_of(type_)
        trigger = Trigger(ObjectKey("default", "x"), 0, type_, named, auth=auth or {})
        parameters = parse(definition.parameters, trigger)
        assert not isinstance(parameters, list), parameters
        scaler = definition.make(parameters, trigger, self.world)
        assert isinstance(scaler, KafkaScaler)
        self._scalers.append(scaler)
        return scaler

    async def make_topic(self, partitions: int = 1, topic: str = "") -> None:
        await self.admin.create_topic(topic or self.topic, partitions, 1)

    async def produce(self, records: int, size: int = 1, topic: str = "") -> None:
        """Spread evenly."""
        producer = Producer(self.server.access, topic or self.topic, "test")
        producer.start()
        partitions = await self.admin.partitions(topic or self.topic)
        assert partitions
        batch = [Outgoing(str(n).encode(), b"x" * size, ()) for n in range(records)]
        for first in range(0, records, 100):
            await producer.send(batch[first : first + 100])
        await producer.close()

    async def commit(self, offsets: Mapping[int, int], topic: str = "") -> None:
        await commit(self.admin, self.group, {(topic or self.topic, n): to for n, to in offsets.items()})

    async def ends(self) -> dict[int, int]:
        return {number: end for (_, number), end in (await self.admin.ends([self.topic])).items()}


def run(main: Callable[[Bench], Awaitable[None]], seconds: float = 60) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds), Bench() as bench:
            await main(bench)

    asyncio.run(bounded())


async def read(scaler: KafkaScaler) -> Reading:
    (reading,) = await scaler.read()
    return reading


async def until(scaler: KafkaScaler, holds: Callable[[Reading], bool]) -> Reading:
    while True:
        try:
            reading = await read(scaler)
            if holds(reading):
                return reading
        except TemporaryError:
            pass
        await asyncio.sleep(0.05)


async def until_error(scaler: KafkaScaler, words: str) -> list[Reading]:
    """What was read before it."""
    readings = []
    while True:
        try:
            readings.append(await read(scaler))
        except TemporaryError as error:
            if words in str(error):
                return readings
        await asyncio.sleep(0.05)


def test_lag_to_zero_and_back() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic(3)
        scaler = bench.scaler(lagThreshold="5", activationLagThreshold="2")
        assert await scaler.targets() == (Target(f"kafka-{bench.topic}", 5.0, 2.0, MetricType.AVERAGE_VALUE),)
        never = await read(scaler)
        assert (never.value, never.activity, never.quality, never.replicas_max) == (3.0, 3.0, Quality.WHOLE, 3)
        assert "nothing committed" in never.note
        await bench.produce(30)
        ends = await bench.ends()
        await bench.commit(dict.fromkeys(range(3), 0))
        lagging = await read(scaler)
        assert lagging == Reading(30.0, 30.0, replicas_max=3, produced=30.0, consumed=0.0)
        await bench.commit(ends)
        assert await read(scaler) == Reading(0.0, 0.0, replicas_max=3, produced=30.0, consumed=30.0)
        await bench.produce(4)
        assert (await read(scaler)).value == 4.0

    run(main)


def test_the_cap_is_the_partitions_and_not_one_more() -> None:
    """Upstream: 5 partitions, threshold 10, lag 51 to 59 make 6 replicas; here the lag is told, and the cap."""

    async def main(bench: Bench) -> None:
        await bench.make_topic(5)
        await bench.produce(55)
        await bench.commit(dict.fromkeys(range(5), 0))
        ends = await bench.ends()
        assert await caps(bench) == {
            "": (55, 5, None),
            "allow": (55, None, None),
            "limit": (55, 5, None),
            "even": (55, 5, 5),
        }
        await bench.commit({number: ends[number] for number in range(1, 5)})
        left = ends[0]
        assert await caps(bench) == {
            "": (left, 5, None), "allow": (left, None, None), "limit": (left, 1, None), "even": (left, 5, 5)
        }  # fmt: skip
        await bench.commit({0: left})
        assert (await caps(bench))["limit"] == (0, 1, None)
        named = await read(bench.scaler(partitionLimitation="1-2"))
        assert (named.value, named.replicas_max) == (0.0, 2)

    run(main)


async def caps(bench: Bench) -> dict[str, tuple[float, int | None, int | None]]:
    """By option: lag, most replicas, shares."""
    options = {
        "": {},
        "allow": {"allowIdleConsumers": "true"},
        "limit": {"limitToPartitionsWithLag": "true"},
        "even": {"ensureEvenDistributionOfPartitions": "true"},
    }
    found = {name: await read(bench.scaler(**more)) for name, more in options.items()}
    return {name: (each.value, each.replicas_max, each.shares) for name, each in found.items()}


def test_a_group_that_has_committed_nothing_is_woken() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic(2)
        await bench.produce(9)
        never = {
            "latest": await read(bench.scaler()),
            "earliest": await read(bench.scaler(offsetResetPolicy="earliest")),
            "zero": await read(bench.scaler(scaleToZeroOnInvalidOffset="true")),
            "no topic": await read(bench.scaler(topic="")),
            "no topic, zero": await read(bench.scaler(topic="", scaleToZeroOnInvalidOffset="true")),
        }
        assert {name: each.value for name, each in never.items()} == {
            "latest": 2, "earliest": 9, "zero": 0, "no topic": 1, "no topic, zero": 0
        }  # fmt: skip
        assert all(each.quality is Quality.WHOLE for each in never.values())
        assert "one replica is wanted, so that it begins" in never["no topic"].note
        assert never["no topic"].replicas_max == 1
        await bench.commit({0: 0})
        begun = await read(bench.scaler(topic=""))
        assert (begun.value, begun.replicas_max) == ((await bench.ends())[0] + 1, 2)

    run(main)


def test_all_topics_of_a_group() -> None:
    async def main(bench: Bench) -> None:
        other = f"{bench.topic}-other"
        await bench.make_topic(2)
        await bench.make_topic(1, other)
        await bench.produce(4)
        await bench.produce(3, topic=other)
        await bench.commit({0: 0, 1: 0})
        await bench.commit({0: 0}, topic=other)
        scaler = bench.scaler(topic="")
        assert (await scaler.targets())[0].metric == f"kafka-{bench.group}-topics"
        assert await read(scaler) == Reading(7.0, 7.0, replicas_max=3, produced=7.0, consumed=0.0)
        both = bench.scaler("apache-kafka", topic=f"{bench.topic},{other}")
        assert (await both.targets())[0].metric == f"kafka-{bench.topic},{other}"
        assert (await read(both)).value == 7.0
        partly = await read(bench.scaler("apache-kafka", topic=f"{bench.topic},scaler-none"))
        assert (partly.value, partly.quality) == (4.0, Quality.PARTIAL)
        assert "topic scaler-none is not known" in partly.note

    run(main)


def test_retention_and_truncation() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic()
        await bench.produce(20)
        await bench.commit({0: 2})
        scaler, earliest = bench.scaler(), bench.scaler(offsetResetPolicy="earliest")
        assert (await read(scaler)).value == 18.0
        only = {TopicPartition(bench.topic, 0): 15}
        await bench.admin._ask(lambda client: client.delete_records(only))
        assert await read(scaler) == Reading(5.0, 5.0, replicas_max=1, produced=20.0, consumed=15.0)
        bench.group += "-new"
        assert (await read(bench.scaler(offsetResetPolicy="earliest"))).value == 5.0  # upstream: 20
        bench.group = bench.group.removesuffix("-new")
        await bench.commit({0: 100})  # as where a partition has lost what it had
        cut = await read(scaler)
        assert (cut.value, cut.activity, cut.quality) == (1.0, 1.0, Quality.PARTIAL)  # upstream: -80
        assert "ends at 20, and 100 is committed: truncated, or made anew" in cut.note
        assert ((await read(earliest)).value, (await read(earliest)).quality) == (5.0, Quality.PARTIAL)
        assert (await read(bench.scaler(scaleToZeroOnInvalidOffset="true"))).quality is Quality.WHOLE

    run(main)


def test_persistent_lag_is_left_out_by_time() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic()
        await bench.produce(20)
        await bench.commit({0: 2})
        scaler = bench.scaler(excludePersistentLag="true", persistentLagSeconds="45")
        assert [(await read(scaler)).value for _ in range(3)] == [18.0] * 3  # upstream: 18, 0, 0
        await bench.clock.advance(46.0)
        stuck = await read(scaler)
        assert (stuck.value, stuck.activity) == (0.0, 18.0)
        assert "18 in" in stuck.note
        await bench.commit({0: 3})
        assert (await read(scaler)).value == 17.0

    run(main)


def test_topics_that_are_not_there_partitions_that_are_added_topics_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_wire, "METADATA_S", 0.2)

    async def main(bench: Bench) -> None:
        scaler = bench.scaler()
        with pytest.raises(TemporaryError, match=f"has no topic {bench.topic}; make it, or mend topic"):
            await read(scaler)
        await bench.make_topic(1)
        await bench.produce(3)
        await bench.commit({0: 3})
        assert (await read(scaler)).value == 0.0
        with pytest.raises(TemporaryError, match=r"partitionLimitation names no partition of .* which has 0-0"):
            await read(bench.scaler(partitionLimitation="7"))
        await bench.admin._ask(lambda client: client.create_partitions({bench.topic: 4}))
        added = await until(scaler, lambda reading: reading.replicas_max == 4)
        assert added.value == 3.0  # nothing is committed in the three new ones
        await bench.admin.delete_topic(bench.topic)
        before = await until_error(scaler, "has no topic")
        assert all(each.value or each.quality is Quality.PARTIAL for each in before)
        await bench.make_topic(2)
        anew = await until(scaler, lambda reading: reading.replicas_max == 2 and reading.quality is Quality.WHOLE)
        assert anew.value == 2.0

    run(main)


def test_a_broker_killed_in_the_middle_of_readings_is_never_zero() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic(2)
        await bench.produce(40)
        await bench.commit({0: 0, 1: 0})
        scalers = [bench.scaler() for _ in range(20)]
        seen: list[float] = []
        errors: list[str] = []
        stop = asyncio.Event()

        async def poll(scaler: KafkaScaler) -> None:
            while not stop.is_set():
                try:
                    reading = await read(scaler)
                    seen.append(reading.value if reading.quality is Quality.WHOLE else 40.0)
                except TemporaryError as error:
                    errors.append(str(error))
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            for scaler in scalers:
                group.create_task(poll(scaler))
            await asyncio.sleep(0.5)
            bench.server.kill()
            await asyncio.sleep(1.0)
            await asyncio.to_thread(bench.server.start)
            before = len(seen)
            while len(seen) < before + 40:
                await asyncio.sleep(0.05)
            stop.set()
        assert set(seen) == {40.0}
        assert errors
        assert len(bench.world.pools) == 1

    run(main)


@pytest.mark.parametrize("sasl", ["plaintext", "scram_sha256", "scram_sha512"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_users_by_authentication(sasl: str, tls: bool) -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic()
        where = bench.server.tls_bootstrap if tls else bench.server.sasl_bootstrap
        secure = {"tls": "enable", "ca": bench.server.ca} if tls else {}
        auth = {"sasl": sasl, "username": USER, "password": PASSWORD, **secure}
        assert (await read(bench.scaler(auth=auth, bootstrapServers=where))).value == 1.0
        with pytest.raises(TemporaryError) as refused:
            await read(bench.scaler(auth={**auth, "password": "a guessed one"}, bootstrapServers=where))
        assert "refuses the user 'alice'" in str(refused.value)
        assert "guessed" not in str(refused.value)
        if tls:
            del auth["ca"]
            with pytest.raises(TemporaryError, match="certificate verify failed"):
                await read(bench.scaler(auth=auth, bootstrapServers=where))
            assert (await read(bench.scaler(auth=auth, bootstrapServers=where, unsafeSsl="true"))).value == 1.0

    run(main)


def test_credentials_that_change_at_the_broker() -> None:
    """The user's password is set anew: who has the old one is refused when its connection ends, the new one gets in."""

    async def main(bench: Bench) -> None:
        await bench.make_topic()
        where = bench.server.sasl_bootstrap
        user = f"user-{bench.group}"

        async def set_password(password: str) -> None:
            scram = ScramMechanism.SCRAM_SHA_256
            change = [UserScramCredentialUpsertion(user, scram, password.encode(), iterations=4096)]
            await bench.admin._ask(lambda client: client.alter_user_scram_credentials(change))

        def scaler(password: str) -> KafkaScaler:
            auth = {"sasl": "scram_sha256", "username": user, "password": password}
            return bench.scaler(auth=auth, bootstrapServers=where)

        await set_password("first")
        old = scaler("first")
        assert (await until(old, lambda _: True)).value == 1.0
        await set_password("second")
        new = scaler("second")
        assert (await until(new, lambda _: True)).value == 1.0
        bench.server.kill()
        await asyncio.to_thread(bench.server.start)
        await until(new, lambda _: True)
        await until_error(old, "refuses the user")
        await set_password("first")
        assert (await until(old, lambda _: True)).value == 1.0  # without a change of ours

    run(main)


def test_twenty_megabytes_of_backlog() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic(4)
        await bench.produce(2000, size=10_000)
        await bench.commit(dict.fromkeys(range(4), 0))
        began = asyncio.get_running_loop().time()
        reading = await read(bench.scaler(lagThreshold="50"))
        assert (reading.value, reading.replicas_max) == (2000.0, 4)
        assert asyncio.get_running_loop().time() - began < 5

    run(main, 120)


def test_triggers_of_a_cluster_and_a_user_share_a_connection() -> None:
    async def main(bench: Bench) -> None:
        await bench.make_topic()
        both = f"{bench.server.bootstrap},127.0.0.1:1"
        turned = f"127.0.0.1:1,{bench.server.bootstrap}"
        scalers = [bench.scaler(), bench.scaler(topic=""), bench.scaler(bootstrapServers=both)]
        scalers.append(bench.scaler(bootstrapServers=turned))
        assert len(bench.world.pools) == 0  # nothing is opened before it is asked
        for scaler in scalers:
            await read(scaler)
        assert len(bench.world.pools) == 2

    run(main)


def test_what_is_not_available_says_so() -> None:
    async def main(bench: Bench) -> None:
        kerberos = {"username": "a", "password": "b", "kerberosConfig": "c", "realm": "d"}
        with pytest.raises(PermanentError, match=r"gssapi \(Kerberos\) is not available"):
            await read(bench.scaler(auth=kerberos, sasl="gssapi"))

    run(main)


def test_certificates_are_given_only_with_tls() -> None:
    auth = {"cert": "ceert", "key": "keey", "ca": "caaa", "keyPassword": "sesame", "username": "u", "password": "p"}
    definition = definition_of("kafka")
    trigger = Trigger(
        ObjectKey("default", "x"), 0, "kafka", {"bootstrapServers": "a:1", "consumerGroup": "g"}, auth=auth
    )
    access = access_of(parse(definition.parameters, trigger))
    assert (access.tls, access.certificate, access.key, access.user, access.mechanism) == (False, None, None, "", None)
    assert access.masked("what the user sesame says") == "what the user sesame says"
