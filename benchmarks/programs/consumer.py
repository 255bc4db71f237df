"""A consumer of a Kafka topic that notes the beginning and the end of each message in a file that all of them share."""

import os
import signal
import time
from pathlib import Path

from kafka import KafkaConsumer

stopping = False


def stop(*_: object) -> None:
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
notes = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
in_hand = Path(os.environ["IN_FLIGHT_FILE"])
in_hand.write_text("0")
pid = os.getpid()
consumer = KafkaConsumer(
    os.environ["TOPIC"],
    bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"],
    group_id=os.environ["GROUP"],
    enable_auto_commit=False,
    auto_offset_reset="earliest",
    max_poll_records=20,
    session_timeout_ms=6000,
    heartbeat_interval_ms=1000,
)
while not stopping:
    for records in consumer.poll(timeout_ms=200).values():
        in_hand.write_text(str(len(records)))
        for record in records:
            os.write(notes, b"begin %s %d\n" % (record.value, pid))
            time.sleep(float(os.environ["WORK_SECONDS"]))
            os.write(notes, b"end %s %d\n" % (record.value, pid))
        consumer.commit()
        in_hand.write_text("0")
consumer.close()
