"""Takes orders from a Kafka topic, one at a time, and commits each when it is done.

SIGTERM ends it after the order in hand. A file tells how many it has in hand, so that nobody stops it in the middle.
"""

import os
import signal
import sys
import time
from pathlib import Path

from kafka import KafkaConsumer

WORK_S = float(os.environ.get("WORK_SECONDS", "0.1"))
stopping = False


def stop(*_: object) -> None:
    global stopping
    stopping = True


def in_hand(count: int) -> None:
    if path := os.environ.get("IN_FLIGHT_FILE"):
        Path(path).write_text(f"{count}\n")


signal.signal(signal.SIGTERM, stop)
in_hand(0)
consumer = KafkaConsumer(
    os.environ["TOPIC"],
    bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"].split(","),
    group_id=os.environ["GROUP"],
    enable_auto_commit=False,
    auto_offset_reset="earliest",
    max_poll_records=1,
    session_timeout_ms=10_000,  # one that is killed keeps its partitions from the others for so long
    heartbeat_interval_ms=3_000,
)
while not stopping:
    for records in consumer.poll(timeout_ms=200).values():
        for record in records:
            in_hand(1)
            time.sleep(WORK_S)
            consumer.commit()
            print(f"order {record.value.decode()} from partition {record.partition}", flush=True)
            in_hand(0)
consumer.close()
sys.exit(0)
