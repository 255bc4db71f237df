"""Names, labels, keys: what is allowed and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.resources import names

CHECKS: list[tuple[Callable[[str], str | None], list[str], list[str]]] = [
    (names.check_dns1123_label, ["a", "0", "a-1", "a" * 63], ["", "A", "-a", "a-", "a.b", "a" * 64, "a\n"]),
    (names.check_dns1035_label, ["a", "a0"], ["0a", "A", "a.b", "a" * 64]),
    (names.check_dns1123_subdomain, ["a.b", "0.0", "a" * 253], ["a..b", ".a", "a" * 254, "a_b"]),
    (names.check_qualified_name, ["a", "A_b.c", "x.io/Y"], ["", "/a", "x.io/", "a/b/c", "X.io/a", "-a", "a" * 64]),
    (names.check_label_value, ["", "A", "a_b.c-d"], ["-", "a b", "a" * 64, "a/b"]),
    (names.check_env_name, ["PATH", "a.b", "x-y", "1"], ["", "A=B", "é"]),
    (names.check_config_key, ["a", ".a", "a.b_c-D"], ["", ".", "..", "..a", "a/b"]),
    (names.check_port_name, ["http", "h2c", "a-1"], ["", "HTTP", "1", "a--b", "-a", "a" * 16]),
]


@pytest.mark.parametrize(("check", "good", "bad"), CHECKS, ids=[check.__name__ for check, _, _ in CHECKS])
def test_syntax(check: Callable[[str], str | None], good: list[str], bad: list[str]) -> None:
    assert {text: check(text) for text in good} == dict.fromkeys(good)
    assert [text for text in bad if check(text) is None] == []


def test_ports() -> None:
    assert names.check_port(1) is None
    assert names.check_port(65535) is None
    assert names.check_port(0)
    assert names.check_port(65536)
