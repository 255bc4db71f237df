"""Takes orders out of a Kafka topic, one after another, as one of a group. It needs kafka-python.

It commits what it has done, and on SIGTERM it finishes the order in hand and leaves its group: another consumer, or a
later one, goes on with the next order.
"""

import os
import signal
import threading
import time

from kafka import KafkaConsumer

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())

consumer = KafkaConsumer(
    os.environ["TOPIC"],
    bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"],
    group_id=os.environ["GROUP"],
    auto_offset_reset="earliest",
    enable_auto_commit=False,
    max_poll_records=1,
)
while not ended.is_set():
    for records in consumer.poll(timeout_ms=200).values():
        for record in records:
            time.sleep(float(os.environ.get("WORK_SECONDS", "0.2")))
            print(f"{record.partition}/{record.offset}: {record.value.decode()}", flush=True)
        consumer.commit()
consumer.close()
