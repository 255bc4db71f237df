from __future__ import annotations

import asyncio
import sys

import pytest

from core.errors import PermanentError
from scalers.clients import load_client


def test_a_client_is_loaded_where_it_is_needed() -> None:
    assert (
        asyncio.run(load_client("core.clients.rabbitmq_terms", "rabbitmq"))
        is sys.modules["core.clients.rabbitmq_terms"]
    )


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "core.clients.external_scaler", raising=False)
    with pytest.raises(PermanentError, match=r"library grpc, .* pip install 'pilotlight\[external\]'") as caught:
        asyncio.run(load_client("core.clients.external_scaler", "external"))
    assert caught.value.reason == "ClientMissing"
