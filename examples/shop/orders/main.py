"""Takes an order, and replies that it was accepted: the reply goes back through the broker."""

from cloudevents.core.v1.event import CloudEvent


async def handle(event: CloudEvent):
    order = event.get_data() or {}
    if not order.get("items"):
        raise ValueError("an order without items")
    return CloudEvent(
        {"type": "com.example.order.accepted", "source": "/shop/orders", "subject": event.get_id()},
        {"items": len(order["items"])},
    )
