import pytest

from core.apiserver.backend import Call, write_json
from core.apiserver.negotiation import Form
from core.apiserver.paths import Target
from core.errors import BadRequest


def call(headers: dict[str, str] | None = None, **query: str) -> Call:
    return Call("GET", Target("", "v1", "pods"), query, headers or {})


@pytest.mark.parametrize(
    ("headers", "query", "manager"),
    [
        ({"user-agent": "kubectl/v1.32.4 (linux/amd64)"}, {}, "kubectl"),
        ({"user-agent": "kubectl/v1.32.4"}, {"fieldManager": "me"}, "me"),
        ({"user-agent": "x" * 300}, {}, "x" * 128),
        ({}, {}, "unknown"),
        ({"user-agent": "/"}, {}, "unknown"),
    ],
)
def test_the_manager_is_the_one_named_or_the_program(
    headers: dict[str, str], query: dict[str, str], manager: str
) -> None:
    assert call(headers, **query).manager == manager


def test_query_parameters_are_read_strictly() -> None:
    assert call(watch="true").flag("watch")
    assert not call(watch="yes").flag("watch")
    assert call(limit="5").seconds("limit") == 5
    assert call().seconds("limit") is None
    assert call(dryRun="All").dry_run
    for query in ({"limit": "-1"}, {"limit": "x"}, {"limit": "\N{ARABIC-INDIC DIGIT ONE}"}):
        with pytest.raises(BadRequest):
            call(**query).seconds("limit")
    with pytest.raises(BadRequest):
        _ = call(dryRun="Some").dry_run


def test_an_answer_is_json_unless_yaml_was_asked_for() -> None:
    assert write_json({"a": 1}).body == b'{"a":1}'
    yaml = write_json({"b": 1, "a": "ä"}, Form(yaml=True), 201)
    assert (yaml.body.decode(), yaml.code, yaml.content_type) == ("b: 1\na: ä\n", 201, "application/yaml")
