from __future__ import annotations

from eventing.log.base import Record
from eventing.log.streams import Fresh, Streams
from tests.support.event_log import event


def test_the_latest_records_of_all_streams_share_one_bound() -> None:
    streams, fresh = Streams(), Fresh(bytes_max=10 * 1600)
    one, two = streams.get_or_make("one"), streams.get_or_make("two")
    for number in range(50):
        for stream in (one, two):
            stream.tail += 1
            fresh.keep(stream, [Record(number, 0, event(number))], 100)
    assert [record.offset for record in one.latest(45, 100) or ()] == [45, 46, 47, 48, 49]
    assert [record.offset for record in two.latest(47, 2) or ()] == [47, 48]
    assert one.latest(44, 1) is None, "to be read off the disk"
    assert one.latest(50, 1) == [], "at the tail there is nothing to read"
    assert len(one.fresh) + len(two.fresh) == 10


def test_an_empty_stream_has_nothing_in_memory() -> None:
    stream = Streams().get_or_make("one")
    assert stream.latest(0, 10) == []
    assert stream.floor == 0
