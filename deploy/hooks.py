"""postStart and preStop: a command in the container, a request to it, or a wait. Called by `deploy/containers`."""

from __future__ import annotations

from core.clock import Clock
from core.resources.containers import Container as Document
from core.resources.containers import LifecycleHandler
from deploy.probes import try_check
from deploy.probing import HttpCheck, Where, resolve_port
from deploy.runtimes.base import Container


async def run_hook(
    hook: LifecycleHandler, container: Container, document: Document, where: Where, clock: Clock, limit_s: float
) -> str:
    """ "" where it went well, else why not."""
    if hook.exec is not None and hook.exec.command:
        code, output = await container.execute(tuple(hook.exec.command), limit_s)
        return "" if code == 0 else f"command {list(hook.exec.command)} exited with {code}: {output.strip()}"
    if hook.http_get is not None:
        action = hook.http_get
        port = resolve_port(action.port, document, where)
        if port is None:
            return "httpGet names no port of the container"
        headers = {header.name: header.value for header in action.http_headers or ()}
        tls = (action.scheme or "HTTP").upper() == "HTTPS"
        path = "/" + (action.path or "/").removeprefix("/")
        answer = await try_check(HttpCheck(action.host or where.host, port, path, tls, headers), container, limit_s)
        return "" if answer.success else answer.message
    if hook.sleep is not None:
        await clock.sleep(min(float(hook.sleep.get("seconds", 0)), limit_s))
    return ""
