"""The real kubectl on a running platform, as its user runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.support.platform import Platform

TIMEOUT_S = 60


class Kubectl:
    def __init__(self, platform: Platform) -> None:
        if shutil.which("kubectl") is None:
            pytest.skip("no kubectl (see tests/support/need.sh)")
        self._environment = platform.environment

    def __call__(self, *args: str, stdin: str = "") -> str:
        """What it prints."""
        done = subprocess.run(
            ["kubectl", *args],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *args: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *args, "-o", "json"))
        return found

    def apply(self, *documents: dict[str, Any]) -> str:
        listing = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        return self("apply", "-f", "-", stdin=json.dumps(listing))
