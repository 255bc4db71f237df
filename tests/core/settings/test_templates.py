"""The subset of Go templates that names are made with."""

from __future__ import annotations

import pytest

from core.settings.templates import parse_template

FIELDS = {"Name": False, "Namespace": False, "Domain": False, "Labels": True, "Annotations": True}
VALUES = {"Name": "hello", "Namespace": "default", "Domain": "localhost", "Labels": {"team": "blue", "a/b": "c"}}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Name}}.{{.Namespace}}.{{.Domain}}", "hello.default.localhost"),
        ("{{ .Name }}-x", "hello-x"),
        ("{{.Name}}.{{.Labels.team}}", "hello.blue"),
        ('{{index .Labels "a/b"}}.{{.Domain}}', "c.localhost"),
        ("{{.Name}}{{.Labels.none}}{{.Annotations.sub}}", "hello"),
        ("a {{- .Name -}} b", "ahellob"),
        ("fixed", "fixed"),
        ("", ""),
    ],
)
def test_renders(template: str, text: str) -> None:
    assert parse_template(template, FIELDS).render(VALUES) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Nam}}", "fields are Name"),
        ("{{.Name", "unclosed"),
        ("{{if .Name}}x{{end}}", "only fields and index"),
        ("{{.Labels}}", "is a map"),
        ("{{.Name.x}}", "not a map"),
        ("{{}}", "only fields"),
    ],
)
def test_refuses_with_the_reason(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_template(template, FIELDS)
