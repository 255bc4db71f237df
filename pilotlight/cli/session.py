"""How a command reaches the platform: which folder, which kubeconfig, and what it says when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from core.errors import NotFound
from core.resources.core_services import CORE_SERVICE
from core.settings.domain import CLUSTER_DOMAIN
from pilotlight.cli.output import note
from pilotlight.datadir import DataDir

if TYPE_CHECKING:
    from core.clients.kubernetes import Connection, KubernetesClient

T = TypeVar("T")


class UsageProblem(Exception):
    """What was typed cannot be done as typed: shown without a trace, exit code 2."""


class NotReady(Exception):
    """It was Ready=False, or not Ready in time; the message is the condition's own. Exit code 1."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where commands go; made from the global options, once."""

    data_dir: DataDir
    kubeconfig: Path | None = None
    namespace: str = "default"

    def connection(self) -> Connection:
        """UsageProblem names the next command when no platform is running."""
        from core.clients.kubernetes import read_kubeconfig  # here, for `up` needs no client and must start fast

        if self.kubeconfig:
            return read_kubeconfig(self.kubeconfig)
        running = self.data_dir.running()
        if running is None:
            raise UsageProblem(
                f"no platform is running on {self.data_dir.root}. Start one with `pilotlight up`, "
                "or name another with --data-dir or --kubeconfig."
            )
        return read_kubeconfig(Path(running.kubeconfig))

    def run(self, work: Callable[[KubernetesClient], Awaitable[T]]) -> T:
        """Runs a command's work with an open client."""
        from core.clients.kubernetes import KubernetesClient

        async def main() -> T:
            async with KubernetesClient(self.connection(), warn=lambda text: note(f"Warning: {text}")) as client:
                return await work(client)

        return asyncio.run(main())


async def gateway_url(client: KubernetesClient, session: Session, host: str) -> str:
    """Where the gateway serves that host: the running platform's word, else the core Service that lists it."""
    hidden = host.partition(":")[0].endswith(f".{CLUSTER_DOMAIN}")
    if session.kubeconfig is None and (running := session.data_dir.running()):
        return running.inside if hidden else running.gateway
    if hidden:
        raise UsageProblem(f"{host} is served inside the platform only: call it from there, or from its machine")
    try:
        service = await client.get(CORE_SERVICE, "pilotlight-gateway", "knative-serving")
    except NotFound as error:
        raise UsageProblem("the API knows no gateway (core Service pilotlight-gateway in knative-serving)") from error
    server = urlsplit(client.connection.server).hostname
    return f"http://{server}:{service['spec']['ports'][0]['nodePort']}"
