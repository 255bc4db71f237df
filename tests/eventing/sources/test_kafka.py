"""KafkaSource against a real Kafka: from records to a sink, over retries, restarts and a server that is killed."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core.clients.kafka_admin import Admin
from core.clients.kafka_producer import Producer
from core.clients.kafka_terms import Outgoing
from core.errors import TemporaryError
from core.inside import Reply
from core.resources.conditions import find_condition
from core.resources.core_v1 import SECRET
from core.resources.meta import Json
from core.resources.sources_kafka import KAFKA_SOURCE, KAFKA_SOURCE_CONDITIONS, KEY_TYPE_LABEL
from eventing.bindings.kafka import encode_binary, encode_structured
from eventing.redrive import redrive
from tests.support.eventing import Eventing, eventing, until
from tests.support.kafka import PASSWORD, USER, kafka_server
from tests.support.subscribers import event

_numbers = itertools.count()
QUICK = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.01S"}


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(80):
            await main()

    asyncio.run(bounded())


class Topic:
    """A new one, to be written and asked."""

    def __init__(self, partitions: int = 1) -> None:
        self.name = f"source-{next(_numbers)}"
        self.group = f"group-{self.name}"
        self.partitions = partitions

    async def __aenter__(self) -> Topic:
        self.admin = Admin(kafka_server().access, "test")
        self.producer = Producer(kafka_server().access, self.name, "test")
        if self.partitions:
            await self.admin.create_topic(self.name, self.partitions, 1)
        self.producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.producer.close()
        await self.admin.close()

    async def write(self, *records: Outgoing) -> None:
        while True:
            try:
                await self.producer.send(records)
            except TemporaryError:
                await asyncio.sleep(0.05)
            else:
                return

    async def lag(self) -> int:
        ends, committed = await self.admin.ends([self.name]), await self.admin.committed(self.group)
        return sum(end - committed[each].offset for each, end in ends.items() if each in committed)

    def spec(self, **more: Any) -> Json:
        return {
            "bootstrapServers": [kafka_server().bootstrap],
            "topics": [self.name],
            "consumerGroup": self.group,
            "initialOffset": "earliest",
            "sink": {"uri": "http://sink/"},
            "delivery": QUICK,
            **more,
        }


def text(value: str, key: str | None = None) -> Outgoing:
    return Outgoing(None if key is None else key.encode(), value.encode(), ())


def encoded(values: dict[str, str]) -> Json:
    return {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}


async def committed(topic: Topic) -> None:
    async def all_of_it() -> bool | None:
        return True if await topic.lag() == 0 else None

    await until(all_of_it, "something was not committed", 20)


async def bodies(there: Eventing, count: int) -> list[str]:
    await there.received("sink", count)
    return [(each.data or b"").decode() for each in there.people.got["sink"]]


def test_records_become_events(tmp_path: Path) -> None:
    async def main() -> None:
        async with Topic() as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(202)
            sent = event("ce", data="x", datacontenttype="text/plain")
            await topic.write(
                Outgoing(b"\x00\x00\x00\x07", b"plain", (("X-Trace", b"7"), ("Content-Type", b"text/plain"))),
                Outgoing(None, *reversed(encode_binary(sent))),
                Outgoing(None, *reversed(encode_structured(sent.with_attributes(id="structured")))),
            )
            overrides = {"extensions": {"team": "a"}}
            await there.apply(KAFKA_SOURCE, "s", topic.spec(ceOverrides=overrides), labels={KEY_TYPE_LABEL: "int"})
            source = await there.ready(KAFKA_SOURCE, "s")
            await there.received("sink", 3)
            plain, *events = there.people.got["sink"]
            path = f"/apis/v1/namespaces/default/kafkasources/s#{topic.name}"
            assert plain.data == b"plain"
            assert {name: value for name, value in plain.attributes.items() if name != "time"} == {
                "specversion": "1.0",
                "id": "partition:0/offset:0",
                "type": "dev.knative.kafka.event",
                "source": path,
                "subject": "partition:0#0",
                "key": "7",
                "partitionkey": "7",
                "kafkaheaderxtrace": "7",
                "kafkaheadercontenttype": "text/plain",
                "datacontenttype": "text/plain",
                "team": "a",
            }
            wanted = sent.with_attributes(team="a")
            assert events == [wanted, wanted.with_attributes(id="structured")]
            assert source["status"]["ceAttributes"] == [{"type": "dev.knative.kafka.event", "source": path}]
            assert source["status"]["sinkUri"] == "http://sink/"
            assert {each["type"]: each["status"] for each in source["status"]["conditions"]} == dict.fromkeys(
                (*KAFKA_SOURCE_CONDITIONS.dependents, "Ready"), "True"
            )
            await committed(topic)

    run(main)


def test_what_the_sink_refuses_is_a_dead_letter_and_can_be_redriven(tmp_path: Path) -> None:
    async def main() -> None:
        async with Topic() as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(503 if got.data == b"bad" else 202)
            await there.apply(KAFKA_SOURCE, "s", topic.spec())
            await topic.write(text("bad"), text("good"), Outgoing(None, b"{", (("ce_specversion", b"1.0"),)))
            assert await bodies(there, 4) == ["bad", "bad", "bad", "good"], "a partition keeps its order"

            async def two() -> list[Any] | None:
                letters = await there.log.dead_letters.list("kafkasource/default/s")
                return letters if len(letters) == 2 else None

            found = await until(two, "no dead letters")
            second, first = sorted(found, key=lambda each: len(each.attempts))
            assert [each.code for each in first.attempts] == [503] * 3
            assert "is a CloudEvent and is not well-formed" in second.reason
            assert second.event.data == b"{"
            await committed(topic)
            there.people.answers["sink"] = lambda got: Reply(202)
            done = await redrive(there.plane, there.log.dead_letters, [first.number, second.number])
            assert (done.numbers, done.refused) == ([first.number, second.number], [])
            assert (await bodies(there, 6))[4:] == ["bad", "{"]

    run(main)


def test_offsets_are_committed_after_delivery_and_the_next_life_goes_on_there(tmp_path: Path) -> None:
    async def main() -> None:
        async with Topic(3) as topic:
            async with eventing(tmp_path) as there:
                gate = there.people.gates["sink"] = asyncio.Event()
                there.people.answers["sink"] = lambda got: Reply(202)
                await there.apply(KAFKA_SOURCE, "s", topic.spec(ordering="unordered"))
                await topic.write(*(text(str(number)) for number in range(20)))
                await there.received("sink", 20)
                await asyncio.sleep(0.5)  # two commits' time: none may be made
                assert await topic.lag() == 20
                gate.set()
                await committed(topic)
                store = there.store
            async with eventing(tmp_path, store) as there:
                there.people.answers["sink"] = lambda got: Reply(202)
                await topic.write(text("next"))
                assert await bodies(there, 1) == ["next"]

    run(main)


@pytest.mark.parametrize(("offset", "first"), [("earliest", "before"), ("latest", "after")])
def test_a_new_group_begins_where_it_is_told(tmp_path: Path, offset: str, first: str) -> None:
    async def main() -> None:
        async with Topic() as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(202)
            await topic.write(text("before"))
            await there.apply(KAFKA_SOURCE, "s", topic.spec(initialOffset=offset))
            await there.ready(KAFKA_SOURCE, "s")
            await topic.write(text("after"))
            assert (await bodies(there, 1))[0] == first

    run(main)


def test_a_topic_that_is_not_there_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.clients.kafka_admin.BOOTSTRAP_TIMEOUT_S", 0.2)

    async def main() -> None:
        async with Topic(0) as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(202)
            await there.apply(KAFKA_SOURCE, "s", topic.spec())

            async def said() -> bool | None:
                found = find_condition(await there.store.get(KAFKA_SOURCE, "s", "default"), "ConnectionEstablished")
                return True if found is not None and topic.name in found.get("message", "") else None

            await until(said, "nothing was said of the topic", 20)
            await topic.admin.create_topic(topic.name, 1, 1)
            await there.ready(KAFKA_SOURCE, "s")
            await topic.write(text("x"))
            assert await bodies(there, 1) == ["x"]

    run(main)


def test_it_logs_in_with_what_its_secrets_say_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("kafka_access", "kafka_admin"):
        monkeypatch.setattr(f"core.clients.{module}.BOOTSTRAP_TIMEOUT_S", 0.5)

    def of(key: str) -> Json:
        return {"secretKeyRef": {"name": "login", "key": key}}

    async def main() -> None:
        async with Topic() as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(202)
            net = {
                "sasl": {"enable": True, "user": of("user"), "password": of("password"), "type": of("type")},
                "tls": {"enable": True, "caCert": of("ca")},
            }
            spec = topic.spec(net=net, bootstrapServers=[kafka_server().tls_bootstrap])
            await there.apply(KAFKA_SOURCE, "s", spec)
            found = await there.ready(KAFKA_SOURCE, "s", "False")
            assert "Secret default/login does not exist" in json.dumps(found["status"])
            values = {"user": USER, "password": "wrong", "type": "SCRAM-SHA-512", "ca": kafka_server().ca}
            secret = {"metadata": {"name": "login", "namespace": "default"}, "data": encoded(values)}
            await there.store.create(SECRET, secret)

            async def refused() -> bool | None:
                found = await there.store.get(KAFKA_SOURCE, "s", "default")
                return True if "password" in json.dumps(found["status"]) else None

            await until(refused, "nothing was said of the login", 20)
            right = encoded({**values, "password": PASSWORD})
            await there.store.modify(SECRET, "login", "default", lambda now: {**now, "data": right})
            await there.ready(KAFKA_SOURCE, "s")
            await topic.write(text("x"))
            assert await bodies(there, 1) == ["x"]

    run(main)


def test_no_consumers_read_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with Topic() as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(202)
            await there.apply(KAFKA_SOURCE, "s", topic.spec())
            await topic.write(text("1"))
            assert await bodies(there, 1) == ["1"]
            await there.apply(KAFKA_SOURCE, "s", topic.spec(consumers=0))
            await there.ready(KAFKA_SOURCE, "s", "Unknown")
            await topic.write(text("2"))
            await asyncio.sleep(0.3)  # nothing to wait for: nothing is to come
            assert there.people.ids("sink") == ["partition:0/offset:0"]
            await there.apply(KAFKA_SOURCE, "s", topic.spec(consumers=1))
            assert await bodies(there, 2) == ["1", "2"]

    run(main)


def test_kafka_is_killed_in_mid_stream(tmp_path: Path) -> None:
    async def main() -> None:
        server = kafka_server()
        async with Topic(2) as topic, eventing(tmp_path) as there:
            there.people.answers["sink"] = lambda got: Reply(202)
            await there.apply(KAFKA_SOURCE, "s", topic.spec())

            async def write() -> None:
                for number in range(200):
                    await topic.write(text(str(number), str(number % 5)))

            async with asyncio.TaskGroup() as writing:
                writing.create_task(write())
                await there.received("sink", 50)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)

            async def all_there() -> bool | None:
                got = {(each.data or b"").decode() for each in there.people.got["sink"]}
                return True if got >= {str(number) for number in range(200)} else None

            await until(all_there, "records are missing", 40)
            await committed(topic)

    run(main)
