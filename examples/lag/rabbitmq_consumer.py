"""Takes orders from a RabbitMQ queue, one at a time, and acknowledges each when it is done.

SIGTERM ends it after the order in hand.
"""

import os
import signal
import sys
import time

import pika

WORK_S = float(os.environ.get("WORK_SECONDS", "0.1"))
stopping = False


def stop(*_: object) -> None:
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
connection = pika.BlockingConnection(pika.URLParameters(os.environ["RABBITMQ_URL"]))
channel = connection.channel()
channel.queue_declare(os.environ["QUEUE"], durable=True)
channel.basic_qos(prefetch_count=1)
for method, _, body in channel.consume(os.environ["QUEUE"], inactivity_timeout=0.2):
    if method is not None:
        time.sleep(WORK_S)
        channel.basic_ack(method.delivery_tag)
        print(f"order {body.decode()}", flush=True)
    if stopping:
        break
channel.cancel()
connection.close()
sys.exit(0)
