"""Takes an order as a CloudEvent, and answers with the event that it was accepted."""

import logging

from cloudevents.core.v1.event import CloudEvent


async def handle(event: CloudEvent):
    order = event.get_data() or {}
    logging.info("order %s: %s", event.get_id(), order)
    if not order.get("items"):
        return None  # nothing to say: the event was taken, no event goes back
    return CloudEvent(
        {"type": "com.example.order.accepted", "source": "/examples/cloudevent", "subject": event.get_id()},
        {"items": len(order["items"])},
    )
