"""The example functions answer as their README says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.functions import served

EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (None, 200, b"Hello, World!"),
        (b"{}", 200, b"Hello, World!"),
        (b'{"name": "Ada"}', 200, b"Hello, Ada!"),
        (b"[1]", 200, b"Hello, World!"),
        (b"{", 400, b'send JSON, such as {"name": "Ada"}'),
    ],
)
def test_hello(body: bytes | None, status: int, said: bytes) -> None:
    with served(EXAMPLES / "hello") as function:
        reply = function.request("POST" if body else "GET", "/", body)
    assert (reply.status, reply.body) == (status, said)


def test_cloudevent() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "com.example.order", "ce-source": "/shop"}
    json_ = {"content-type": "application/json"}
    with served(EXAMPLES / "cloudevent") as function:
        accepted = function.request("POST", "/", b'{"items": ["lamp"]}', {**headers, **json_})
        silent = function.request("POST", "/", b"{}", {**headers, **json_})
    assert (accepted.headers["ce-type"], accepted.headers["ce-subject"]) == ("com.example.order.accepted", "1")
    assert json.loads(accepted.body) == {"items": 1}
    assert (silent.status, silent.body) == (204, b"")
