"""Topics and consumer groups of a Kafka cluster."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from kafka import (
    KafkaAdminClient,
    OffsetSpec,
    TopicPartition,
)
from kafka import errors as kafka_errors
from kafka.admin import MemberToRemove, NewTopic
from kafka.structs import OffsetAndMetadata

from core.clients.kafka_access import BOOTSTRAP_TIMEOUT_S, Access
from core.clients.kafka_terms import (
    Committed,
    Partition,
    now,
    raise_code,
    translated,
)
from core.errors import PermanentError, TemporaryError

ADMIN_RETRY_S: Final = 0.1
T = TypeVar("T")


class Admin:
    """One connection, made when it is needed and made anew when it broke."""

    def __init__(self, access: Access, client_id: str) -> None:
        self._access = access
        self._client_id = client_id
        self._thread = ThreadPoolExecutor(1, f"kafka-admin {client_id}")
        self._client: KafkaAdminClient | None = None

    async def close(self) -> None:
        await self._on_thread(self._disconnect)
        self._thread.shutdown(wait=False)

    async def partitions(self, topic: str) -> int | None:
        """How many; None where there is no such topic."""
        found = await self._ask(lambda client: client.describe_topics([topic]))
        if not found or found[0].get("error_code") == kafka_errors.UnknownTopicOrPartitionError.errno:
            return None
        raise_code(found[0].get("error_code", 0), topic)
        return len(found[0]["partitions"])

    async def create_topic(
        self, topic: str, partitions: int, replication: int, configuration: Mapping[str, str] | None = None
    ) -> None:
        """Makes it; one that is there stays as it is."""
        new = NewTopic(topic, partitions, replication, topic_configs=dict(configuration or {}))

        def create(client: KafkaAdminClient) -> None:
            with contextlib.suppress(kafka_errors.TopicAlreadyExistsError):
                client.create_topics([new])
            client.wait_for_topics([topic])

        await self._ask(create)

    async def require_topic(self, topic: str) -> None:
        """TemporaryError where it is not there."""
        if await self.partitions(topic) is None:
            raise TemporaryError(f"Kafka has no topic {topic}")

    async def delete_topic(self, topic: str) -> None:
        """Gone already is as good."""

        def delete(client: KafkaAdminClient) -> None:
            with contextlib.suppress(kafka_errors.UnknownTopicOrPartitionError):
                client.delete_topics([topic])

        await self._ask(delete)

    async def begin(self, group: str, topics: Collection[str], where: str, value: float = 0) -> None:
        """Commits where a group begins, for partitions in which it has not begun yet.

        `where` is latest, earliest, time (`value`: seconds since the epoch) or offset (`value`).
        """
        await self._ask(partial(_begin, group=group, topics=topics, where=where, value=value))

    async def committed(self, group: str) -> Mapping[Partition, Committed]:
        return await self._ask(partial(_committed, group=group))

    async def ends(self, topics: Collection[str]) -> Mapping[Partition, int]:
        """The offsets that the next records will have."""

        def ask(client: KafkaAdminClient) -> Mapping[Partition, int]:
            wanted = dict.fromkeys(_partitions_of(client, topics), OffsetSpec.LATEST)
            return {tuple(each): found.offset for each, found in client.list_partition_offsets(wanted).items()}

        return await self._ask(ask)

    async def evict(self, group: str, client_id: str) -> None:
        """Puts out the members of that name: former lives of the caller, which nobody else would miss for a while."""

        def evict(client: KafkaAdminClient) -> None:
            found = client.describe_groups([group])
            members = found[group].get("members") or () if group in found else ()
            own = [MemberToRemove(each["member_id"]) for each in members if each.get("client_id") == client_id]
            if own:
                client.remove_group_members(group, own)

        with contextlib.suppress(PermanentError):  # there is no such group yet
            await self._ask(evict)

    async def delete_group(self, group: str) -> None:
        """Gone already is as good. TemporaryError while it has members."""

        def delete(client: KafkaAdminClient) -> None:
            for name in client.delete_groups([group]).values():
                if name not in ("OK", kafka_errors.GroupIdNotFoundError.__name__):
                    raise getattr(kafka_errors, name)(group)

        await self._ask(delete)

    async def _ask(self, question: Callable[[KafkaAdminClient], T]) -> T:
        return await self._on_thread(partial(self._asked, question))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _asked(self, question: Callable[[KafkaAdminClient], T]) -> T:
        """What passes by itself within moments (a new group has no coordinator yet) is waited for."""
        deadline = now() + BOOTSTRAP_TIMEOUT_S
        with translated():
            while True:
                try:
                    if self._client is None:
                        self._client = KafkaAdminClient(**self._access.settings(self._client_id))
                    return question(self._client)
                except kafka_errors.RetriableError:
                    if now() > deadline:
                        self._disconnect()
                        raise
                    time.sleep(ADMIN_RETRY_S)

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(kafka_errors.KafkaError):
                client.close()


def _partitions_of(client: KafkaAdminClient, topics: Collection[str]) -> list[TopicPartition]:
    found = []
    for topic in client.describe_topics(list(topics)):
        raise_code(topic.get("error_code", 0), topic["name"])
        found += [TopicPartition(topic["name"], each["partition_index"]) for each in topic["partitions"]]
    return found


def _committed(client: KafkaAdminClient, group: str) -> Mapping[Partition, Committed]:
    found = client.list_group_offsets({group: None})
    offsets = found.get(group, found)
    return {
        tuple(each): Committed(value.offset, value.metadata or "")
        for each, value in offsets.items()
        if value.offset >= 0
    }


def _begin(client: KafkaAdminClient, group: str, topics: Collection[str], where: str, value: float) -> None:
    begun = _committed(client, group)
    new = [each for each in _partitions_of(client, topics) if tuple(each) not in begun]
    if not new:
        return
    earliest = client.list_partition_offsets(dict.fromkeys(new, OffsetSpec.EARLIEST))
    latest = client.list_partition_offsets(dict.fromkeys(new, OffsetSpec.LATEST))
    at = client.list_partition_offsets(dict.fromkeys(new, int(value * 1000))) if where == "time" else {}
    starts = {}
    for each in new:
        first, end = earliest[each].offset, latest[each].offset
        offset = {"earliest": first, "latest": end, "offset": min(max(int(value), first), end)}.get(where)
        if offset is None:
            offset = at[each].offset if at[each].offset >= 0 else end
        starts[each] = OffsetAndMetadata(offset, "", -1)
    for each, error in client.alter_group_offsets(group, starts).items():
        if error not in (kafka_errors.NoError, kafka_errors.UnknownMemberIdError):  # the latter: others are at work
            raise error(f"{group}: {each}")
