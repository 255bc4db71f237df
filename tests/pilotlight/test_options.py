"""What `--detach` relays is what was typed."""

from __future__ import annotations

from pathlib import Path

from pilotlight.datadir import DataDir
from pilotlight.options import PlatformOptions


def test_arguments_say_every_option_that_up_takes() -> None:
    options = PlatformOptions(DataDir(Path("/data")), gateway_port=0, api_port=1, workers=2)
    arguments = options.arguments()
    pairs = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert pairs == {"--data-dir": "/data", "--gateway-port": "0", "--api-port": "1", "--workers": "2"}
