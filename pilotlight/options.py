"""What a platform is started with: declared here once, typed by `up`, relayed by `--detach`, read by `serve`."""

from __future__ import annotations

from dataclasses import dataclass

from pilotlight.datadir import DataDir


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """Ports are 0 for a free one. Everything listens on loopback only."""

    data_dir: DataDir
    gateway_port: int = 8080
    api_port: int = 7443
    workers: int = 1
    host: str = "127.0.0.1"

    def arguments(self) -> list[str]:
        """The same options as `pilotlight up` takes them."""
        return [
            "--data-dir",
            str(self.data_dir.root),
            "--gateway-port",
            str(self.gateway_port),
            "--api-port",
            str(self.api_port),
            "--workers",
            str(self.workers),
        ]
