"""docs/keda.md has the parameters of all scalers, as they are declared."""

from __future__ import annotations

from pathlib import Path

from scalers.registry import SCALERS, definition_of
from scalers.tables import markdown

PAGE = Path(__file__).parents[2] / "docs/keda.md"
BEGIN = "<!-- What follows is written by `python -m tests.scalers.test_docs`. -->\n\n"
END = "\n<!-- What precedes is written by `python -m tests.scalers.test_docs`. -->"


def tables() -> str:
    return markdown({type_: definition_of(type_) for type_ in sorted(SCALERS)})


def test_every_parameter_is_in_the_page() -> None:
    written = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert written == tables(), "run `python -m tests.scalers.test_docs`, which writes them"


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(page.split(BEGIN)[0] + BEGIN + tables() + END + page.split(END)[1])
