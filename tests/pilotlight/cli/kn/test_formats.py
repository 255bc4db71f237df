"""`-o`: which words it takes, and what each prints."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from core.resources.serving import SERVICE
from pilotlight.cli.kn.formats import emit, parse_output

HELLO = {"metadata": {"name": "hello"}, "status": {"url": "http://hello"}}
BOTH = {"items": [HELLO, {"metadata": {"name": "new"}}]}


@pytest.mark.parametrize(
    ("output", "value", "printed"),
    [
        ("name", BOTH, "service.serving.knative.dev/hello\nservice.serving.knative.dev/new\n"),
        ("url", HELLO, "http://hello\n"),
        ("url", BOTH, "http://hello\n\n"),
        ("yaml", {"a": 1}, "a: 1\n"),
        ("json", {"a": 1}, '{\n  "a": 1\n}\n'),
        ("jsonpath={.status.url}", HELLO, "http://hello"),
        ('jsonpath={range .items[*]}{.metadata.name}={.status.url}{"\\n"}{end}', BOTH, "hello=http://hello\nnew=\n"),
        ("jsonpath-as-json={.items[*].metadata.name}", BOTH, '[\n    "hello",\n    "new"\n]\n'),
    ],
)
def test_each_format(capsys: pytest.CaptureFixture[str], output: str, value: dict, printed: str) -> None:
    emit(SERVICE, value, parse_output(output))
    assert capsys.readouterr().out == printed


def test_a_template_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "template"
    path.write_text('{.metadata.name}{"\\n"}')
    emit(SERVICE, HELLO, parse_output(f"jsonpath-file={path}"))
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("go-template={{.x}}", "go-template is kubectl's: .* here there is jsonpath=TEMPLATE"),
        ("custom-columns=A:.b", "custom-columns is kubectl's"),
        ("wide", "'wide' is none of json, yaml, name, url, jsonpath=…"),
        ("json=x", "'json=x' is none of"),
        ("jsonpath", r"jsonpath needs a template, such as jsonpath=\{.status.url\}"),
        ("jsonpath={.a", "jsonpath: unclosed action at character"),
        ("jsonpath-file=/nowhere/at/all", "jsonpath-file: .*No such file"),
    ],
)
def test_what_cannot_be_is_told(output: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        parse_output(output)
