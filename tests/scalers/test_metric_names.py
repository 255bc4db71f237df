from __future__ import annotations

from scalers.metric_names import normalize


def test_normalize() -> None:
    assert normalize("redis-a/b.c:d%(e)") == "redis-a-b-c-d-e"
