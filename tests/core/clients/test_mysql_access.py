from __future__ import annotations

import pytest

from core.clients.mysql_access import MysqlAccess, parse_connection_string
from core.clients.tls import ClientTls

ANY = ClientTls(check=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user:password@tcp(mysql:3306)/stats_db", MysqlAccess("mysql", 3306, "user", "password", "stats_db")),
        ("user@tcp(mysql:3307)/stats_db", MysqlAccess("mysql", 3307, "user", "", "stats_db")),
        ("user:p@ss:w/rd@tcp(mysql)/db", MysqlAccess("mysql", 3306, "user", "p@ss:w/rd", "db")),
        ("user:p(w@tcp(h:1)/db", MysqlAccess("h", 1, "user", "p(w", "db")),
        ("user@/db", MysqlAccess(user="user", database="db")),
        ("/db", MysqlAccess(database="db")),
        ("/", MysqlAccess()),
        ("user@tcp/db", MysqlAccess(user="user", database="db")),
        ("user@tcp([::1]:3308)/db", MysqlAccess("::1", 3308, "user", "", "db")),
        ("user@tcp([::1])/db", MysqlAccess("::1", 3306, "user", "", "db")),
        ("user@unix(/run/mysqld.sock)/db", MysqlAccess(user="user", database="db", socket="/run/mysqld.sock")),
        ("u@tcp(h:1)/a%2Fb?charset=utf8mb4&tls=false", MysqlAccess("h", 1, "u", "", "a/b")),
        ("u@tcp(h:1)/db?tls=true", MysqlAccess("h", 1, "u", "", "db", ClientTls())),
        ("u@tcp(h:1)/db?parseTime=true&tls=skip-verify", MysqlAccess("h", 1, "u", "", "db", ANY)),
        (
            "user@tcp(http://my.mysql.dev:3306)/stats_db",
            MysqlAccess("http://my.mysql.dev", 3306, "user", "", "stats_db"),
        ),
    ],
)
def test_connection_strings(text: str, expected: MysqlAccess) -> None:
    assert parse_connection_string(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user:hunter2@tcp(mysql:3306)", "no slash before the database"),
        ("user:hunter2@tcp(mysql:3306/db", "the address has no end"),
        ("user:hunter2@tcp(mysql:3306)x/db", "the address has no end"),
        ("user:hunter2@tcp(mysql:port)/db", "the port must be a number"),
        ("user:hunter2@tcp(mysql:99999)/db", "the port must be a number"),
        ("user:hunter2@pipe(x)/db", "tcp and unix are known"),
        ("user:hunter2@tcp(mysql)/db?tls=custom", "tls must be true, false"),
    ],
)
def test_what_is_none_is_not_shown(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_connection_string(text)
    assert "hunter2" not in str(caught.value)


def test_no_password_is_shown() -> None:
    known = parse_connection_string("ann:hunter2@tcp(mysql)/db")
    assert str(known) == "MySQL at mysql:3306, database db"
    assert "hunter2" not in repr(known)
