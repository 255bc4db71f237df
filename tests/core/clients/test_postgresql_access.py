from __future__ import annotations

import pytest

from core.clients.postgresql_access import PostgresAccess, without_pgx


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql://u:p@h/d?sslmode=disable&options=-c%20x", "postgresql://u:p@h/d?sslmode=disable&options=-c%20x"),
        ("postgresql://h/d?pool_max_conns=4&sslmode=disable", "postgresql://h/d?sslmode=disable"),
        ("postgresql://h/d?sslmode=disable&pool_max_conns=4", "postgresql://h/d?sslmode=disable"),
        ("postgresql://h/d?default_query_exec_mode=exec", "postgresql://h/d"),
        ("host=h pool_max_conns=4 port=1", "host=h  port=1"),
        ("pool_max_conn_lifetime = '1h 2m' host=h", "host=h"),
        ("host=h password=x_pool_max_conns=4", "host=h password=x_pool_max_conns=4"),
    ],
)
def test_what_only_upstreams_library_knows_is_left_out(connection: str, expected: str) -> None:
    assert without_pgx(connection) == expected


@pytest.mark.parametrize(
    ("access", "addresses"),
    [
        (PostgresAccess("postgresql://u:p@h/d"), ("h:5432",)),
        (PostgresAccess("postgresql://u:p@db.shop.svc:5433/d?sslmode=disable"), ("db.shop.svc:5433",)),
        (PostgresAccess("postgresql://u:p@h:1,g:2/d"), ()),
        (PostgresAccess("postgresql:///d?host=/run"), ()),
        (PostgresAccess("host=h port=1 user=u"), ("h:1",)),
        (PostgresAccess("port='1' password='x host=y' host = 'h'"), ("h:1",)),
        (PostgresAccess("password='x host=y'"), ()),
        (PostgresAccess("host=/run/postgresql"), ()),
        (PostgresAccess(pairs=(("host", "h"), ("port", "7"))), ("h:7",)),
        (PostgresAccess(pairs=(("host", "h1,h2"), ("port", "7"))), ()),
    ],
)
def test_addresses(access: PostgresAccess, addresses: tuple[str, ...]) -> None:
    assert tuple(access.addresses) == addresses


def test_no_password_is_shown() -> None:
    assert "hunter2" not in repr(PostgresAccess("postgresql://u:hunter2@h", (("password", "hunter2"),)))
