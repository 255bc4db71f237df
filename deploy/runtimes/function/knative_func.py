"""Knative func's shapes as one ASGI application, with the behavior of its package func-python 0.8.

`discovery.py` finds the function and asks here for its application.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
from typing import Any

# By what this folder is called in its process.
complaints = importlib.import_module(f"{__package__}.complaints")
shapes = importlib.import_module(f"{__package__}.shapes")


class FuncApp:
    """An instance from `new()`, or `handle(scope, receive, send)`: health paths, `start` and `stop`, events decoded."""

    def __init__(self, instance: Any, takes_events: bool) -> None:
        self.instance = instance
        self.takes_events = takes_events

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == "/health/liveness":
            await self._health("alive", send)
        elif scope["path"] == "/health/readiness":
            await self._health("ready", send)
        elif self.takes_events:
            await self._event(scope, receive, send)
        else:
            await self.instance.handle(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        for hook, arguments in (("start", (os.environ.copy(),)), ("stop", ())):
            message = await receive()
            kind = message["type"]
            try:
                if hasattr(self.instance, hook):
                    await settle(getattr(self.instance, hook)(*arguments))
            except Exception as error:
                await send({"type": f"{kind}.failed", "message": complaints.complaint(error)})
                return
            await send({"type": f"{kind}.complete"})

    async def _health(self, check: str, send: Any) -> None:
        healthy, message = True, "OK"
        if hasattr(self.instance, check):
            result = await settle(getattr(self.instance, check)())
            healthy, message = result if isinstance(result, tuple) else (result, message)
        await shapes.respond(send, 200 if healthy else 500, [(b"content-type", b"text/plain")], f"{message}".encode())

    async def _event(self, scope: Any, receive: Any, send: Any) -> None:
        from cloudevents.core.bindings import http
        from cloudevents.core.exceptions import CloudEventValidationError
        from cloudevents.core.v1.event import CloudEvent

        try:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            message = http.HTTPMessage(headers=headers, body=await shapes.read_body(receive))
            scope["event"] = http.from_http_event(message)
        except (CloudEventValidationError, ValueError) as error:
            logging.warning("Received non-CloudEvent request: %s %s: %s", scope["method"], scope["path"], error)
            reason = b"Bad Request: This endpoint expects CloudEvent requests. "
            await shapes.respond(send, 400, [(b"content-type", b"text/plain")], reason)
            return
        sender = EventSender(send, http)
        try:
            await self.instance.handle(scope, receive, sender)
        except Exception as error:
            complaints.complain(error)
            about = {"type": "dev.functions.error", "source": "/cloudevent/error"}
            await sender.structured(CloudEvent(about, {"message": f"Error: {error}"}), 500)


class EventSender:
    """`send` of a function that takes events: `send(event)`, `send.binary(event)`, `send.http(message)`."""

    def __init__(self, send: Any, http: Any) -> None:
        self._send, self._http = send, http

    async def __call__(self, event: Any, status: int = 200) -> None:
        await self.structured(event, status)

    async def structured(self, event: Any, status: int = 200) -> None:
        await self._encoded(self._http.to_structured_event(event), status)

    async def binary(self, event: Any, status: int = 200) -> None:
        await self._encoded(self._http.to_binary_event(event), status)

    async def http(self, message: Any) -> None:
        await self._send(message)

    async def _encoded(self, message: Any, status: int) -> None:
        headers = [(name.encode(), value.encode()) for name, value in message.headers.items()]
        headers.append((b"content-length", str(len(message.body)).encode()))
        await shapes.respond(self._send, status, headers, message.body)


async def settle(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
