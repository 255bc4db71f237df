from __future__ import annotations

import pytest

from tests.support.api import Api, make_api


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(anyio_backend: str) -> Api:
    """All kinds over an empty store that has its standing namespaces."""
    return await make_api()
