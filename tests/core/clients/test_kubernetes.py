"""core.clients.kubernetes: what is read off a response. Its calls are in tests/integration, against a real API."""

from __future__ import annotations

import pytest

from core.apiserver.app import warning_header
from core.clients.kubernetes import warnings_of


@pytest.mark.parametrize(
    ("headers", "texts"),
    [
        ([], []),
        (['299 - "one"'], ["one"]),
        (['299 - "one", 299 - "two"', '299 - "three"'], ["one", "two", "three"]),
        ([warning_header('a "quoted" path\\here').decode()], ['a "quoted" path\\here']),
        (['199 - "another code"', "no form"], []),
    ],
)
def test_warnings_are_read_as_the_api_writes_them(headers: list[str], texts: list[str]) -> None:
    assert warnings_of(headers) == texts
