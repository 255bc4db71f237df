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


def test_a_module_of_ours_is_missed_by_the_library_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "core.clients.external_scaler", raising=False)
    with pytest.raises(PermanentError, match=r"not installed \(grpc\): pip install 'pilotlight\[external\]'") as caught:
        asyncio.run(load_client("core.clients.external_scaler", "external scalers", "external"))
    assert caught.value.reason == "ClientMissing"
