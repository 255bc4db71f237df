from __future__ import annotations

import asyncio
import sys

import pytest

from core.clients.loading import load_client
from core.errors import PermanentError


def test_what_is_there_is_brought() -> None:
    assert asyncio.run(load_client("json.decoder", "JSON", "json")) is sys.modules["json.decoder"]


def test_what_is_missing_is_said_with_the_line_that_mends_it() -> None:
    with pytest.raises(
        PermanentError, match=r"Kvass is not installed \(no_such_kvass\): pip install 'pilotlight\[k\]'"
    ):
        asyncio.run(load_client("no_such_kvass", "Kvass", "k"))
