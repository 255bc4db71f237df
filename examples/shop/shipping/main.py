"""Ships what was accepted. It has nothing to reply, so the flow ends here."""

import logging

from cloudevents.core.v1.event import CloudEvent


async def handle(event: CloudEvent):
    logging.info("order %s: %s parcels are on their way", event.get_subject(), event.get_data()["items"])
