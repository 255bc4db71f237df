"""What is pika's: its parameters, its properties, its exceptions, in our words and back. The only file that imports it.

`core/clients/rabbitmq_wire` and `rabbitmq_reading` drive its connections and channels, on their thread.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any, Final

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_terms import Content, RabbitmqDown, RabbitmqRefused
from core.clients.tls import ClientTls

HEARTBEAT_S: Final = 20
CONNECT_S: Final = 10.0
_REFUSALS: Final = (403, 530)  # of a connection: user, virtual host


def pika_module(name: str) -> Any:
    """Loaded by the first session, on its thread: most platforms never see a RabbitMQ."""
    return importlib.import_module(f"pika.{name}")


def parameters_of(access: Access, name: str) -> Any:
    options = None
    if access.tls:
        context = (access.trust or ClientTls(access.ca or "")).context()
        options = importlib.import_module("pika").SSLOptions(context, access.server_name or access.host)
    credentials = pika_module("credentials")
    own = credentials.ExternalCredentials()
    if not access.external:
        own = credentials.PlainCredentials(access.user, access.password)
    return pika_module("connection").ConnectionParameters(
        host=access.host,
        port=access.port,
        virtual_host=access.vhost,
        credentials=own,
        heartbeat=HEARTBEAT_S,
        connection_attempts=1,
        socket_timeout=CONNECT_S,
        stack_timeout=CONNECT_S,
        ssl_options=options,
        client_properties={"connection_name": f"pilotlight {name}"},
    )


def properties_of(content: Content) -> Any:
    return pika_module("spec").BasicProperties(
        content_type=content.content_type,
        headers=dict(content.headers),
        delivery_mode=2,
        message_id=content.message_id,
    )


def content_of(properties: Any, body: bytes) -> Content:
    timestamp = properties.timestamp
    return Content(
        body,
        properties.content_type,
        properties.headers or {},
        properties.message_id,
        None if timestamp is None else datetime.fromtimestamp(timestamp, UTC),
    )


def open_error(error: BaseException, access: Access) -> RabbitmqDown | RabbitmqRefused:
    """pika hides what happened in what happened because of it."""
    causes: list[BaseException] = [error]
    for each in causes:
        inside = (*getattr(each, "exceptions", ()), getattr(each, "exception", None), *each.args)
        causes += [inner for inner in inside if isinstance(inner, BaseException)]
    exceptions = pika_module("exceptions")
    for each in causes:
        if isinstance(each, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
            return RabbitmqRefused(f"RabbitMQ at {access.place} does not let user {access.user} in", 403)
        if isinstance(each, exceptions.ProbableAccessDeniedError):
            return RabbitmqRefused(f"RabbitMQ at {access.place} refuses: {sentence(each)}", 530)
        if isinstance(each, exceptions.ConnectionClosedByBroker) and each.reply_code in _REFUSALS:
            return RabbitmqRefused(f"RabbitMQ at {access.place} refuses: {each.reply_text}", each.reply_code)
    return RabbitmqDown(f"RabbitMQ at {access.place} does not answer: {sentence(causes[-1])}")


def translated(error: BaseException) -> RabbitmqDown | RabbitmqRefused:
    if isinstance(error, RabbitmqDown | RabbitmqRefused):
        return error
    if isinstance(error, pika_module("exceptions").ChannelClosedByBroker):
        return RabbitmqRefused(error.reply_text, error.reply_code)
    return RabbitmqDown(f"the connection to RabbitMQ was lost: {sentence(error)}", retry_after_s=1)


def sentence(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) else getattr(error, "reply_text", "")
    return said or str(error) or type(error).__name__
