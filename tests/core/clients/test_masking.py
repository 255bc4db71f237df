from __future__ import annotations

import pytest

from core.clients.masking import in_one_line, mask


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        pytest.param("cannot connect", ["s3cret"], "cannot connect", id="nothing to hide"),
        pytest.param("as 's3cret'", ["s3cret"], "as '***'", id="a secret"),
        pytest.param("at a/b%20c", ["a/b c"], "at a/b%20c", id="half of an encoding is not the secret"),
        pytest.param("at a%2Fb%20c, a%2Fb+c, a/b c", ["a/b c"], "at ***, ***, ***", id="however a URL spells it"),
        pytest.param("hunter2 hunter", ["hunter", "hunter2"], "*** ***", id="one is the beginning of another"),
        pytest.param("amqp://ann:hunter2@host/x", [], "amqp://ann:***@host/x", id="a URL's password"),
        pytest.param("redis://:hunter2@host", [], "redis://:***@host", id="without a user"),
        pytest.param("mongodb://a:b@c:1,d:2/x?e=f@g", [], "mongodb://a:***@c:1,d:2/x?e=f@g", id="only that"),
        pytest.param("empty", ["", "  "], "empty", id="empty secrets"),
    ],
)
def test_mask(text: str, secrets: list[str], expected: str) -> None:
    assert mask(text, secrets) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("two\n  lines of hunter2.\n"), "two lines of ***"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_in_one_line(error: Exception, expected: str) -> None:
    assert in_one_line(error, ["hunter2"]) == expected
