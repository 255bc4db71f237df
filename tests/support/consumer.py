"""A consumer of RabbitMQ as people write them, with pika: one message at a time, acknowledged when it is done.

RABBITMQ_URL and QUEUE say where; SECONDS how long a message takes; BOOK names a file that gets a line for each message
that is begun (`+ID`) and done (`-ID`). SIGTERM lets the one in hand be finished.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pika

stopping = threading.Event()


def note(line: str) -> None:
    with open(os.environ["BOOK"], "a") as book:  # one write of less than a page: no other line gets into it
        book.write(line + "\n")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["RABBITMQ_URL"]))
    channel: Any = connection.channel()
    channel.basic_qos(prefetch_count=1)
    for method, _, body in channel.consume(os.environ["QUEUE"], inactivity_timeout=0.2):
        if method is not None:
            note(f"+{body.decode()}")
            time.sleep(float(os.environ["SECONDS"]))
            note(f"-{body.decode()}")
            channel.basic_ack(method.delivery_tag)
        if stopping.is_set():
            break
    connection.close()


if __name__ == "__main__":
    main()
