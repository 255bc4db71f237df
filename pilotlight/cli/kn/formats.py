"""`-o`: what a command prints instead of its table or its text, under the names that kn and kubectl have for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from core.resources.meta import Json, Kind
from pilotlight.cli.jsonpath import Node, TemplateError, find, parse_template, render
from pilotlight.cli.output import print_json, print_text, print_yaml, say


class Format(StrEnum):
    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    URL = "url"
    JSONPATH = "jsonpath"
    JSONPATH_FILE = "jsonpath-file"
    JSONPATH_AS_JSON = "jsonpath-as-json"


TEMPLATED = (Format.JSONPATH, Format.JSONPATH_FILE, Format.JSONPATH_AS_JSON)
NOT_OURS = ("go-template", "go-template-file", "template", "templatefile", "custom-columns", "custom-columns-file")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A format, and the template of one that has one."""

    format: Format
    template: tuple[Node, ...] = ()


def parse_output(text: str) -> Chosen:
    """`json`, `jsonpath={.status.url}`. typer.BadParameter."""
    word, _, template = text.partition("=")
    if word in NOT_OURS:
        raise typer.BadParameter(f"{word} is kubectl's: `kubectl get … -o {word}=…`; here there is jsonpath=TEMPLATE")
    chosen = next((each for each in Format if each == word), None)
    if chosen is None or (template and chosen not in TEMPLATED):
        known = ", ".join(f"{each}=…" if each in TEMPLATED else each for each in Format)
        raise typer.BadParameter(f"{text!r} is none of {known}")
    if chosen not in TEMPLATED:
        return Chosen(chosen)
    if not template:
        raise typer.BadParameter(f"{word} needs a template, such as {word}={'{.status.url}'}")
    try:
        if chosen is Format.JSONPATH_FILE:
            return Chosen(Format.JSONPATH, parse_template(Path(template).read_text()))
        return Chosen(chosen, parse_template(template))
    except (TemplateError, OSError) as error:
        raise typer.BadParameter(f"{word}: {error}") from None


Output = Annotated[
    Chosen | None,
    typer.Option(
        "--output",
        "-o",
        parser=parse_output,
        metavar="FORMAT",
        help="Instead of the table or the text: json, yaml, name, url, jsonpath=TEMPLATE, jsonpath-file=PATH.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as -o json.")]
JSON_OUTPUT = Chosen(Format.JSON)


def emit(kind: Kind[Any], value: Json, chosen: Chosen) -> None:
    """An object, or a list of them, in the chosen format."""
    items: Sequence[Json] = value.get("items", [value])
    match chosen.format:
        case Format.JSON:
            print_json(value)
        case Format.YAML:
            print_yaml(value)
        case Format.NAME:
            for item in items:
                say(f"{kind.singular}.{kind.group}/{item['metadata']['name']}")
        case Format.URL:
            for item in items:
                say((item.get("status") or {}).get("url") or "")
        case Format.JSONPATH_AS_JSON:
            print_text(json.dumps(find(chosen.template, value), indent=4, ensure_ascii=False) + "\n")
        case _:
            print_text(render(chosen.template, value))
