from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.settings.declaration import Choice, Decimal, Text, Truth
from scalers.base import Definition
from scalers.params import ANYWHERE, AUTH, Parameters, param
from scalers.tables import Row, markdown, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Parameters):
    open: ClassVar[bool] = True

    host: str = param("host", Text(), "Where | it is.", sources=ANYWHERE)
    rate: float = param("rate", Decimal(), "How fast.", 2.0, aliases=("speed",))
    mode: str | None = param("mode", Choice(("a", "b")), "How.", None, differs="Not so.")
    quiet: bool = param("quiet", Truth(), "Whether.", False)
    word: str | None = param("word", Text(), "The word.", None, sources=AUTH, secret=True)


def test_rows() -> None:
    host, rate, mode, quiet, word = rows_of(Example)
    assert host == Row(
        "host", ("metadata", "authentication", "…FromEnv"), "", True, "Where | it is.", (), (), False, ""
    )
    assert (rate.default, rate.aliases) == ("2", ("speed",))
    assert (mode.default, mode.allowed, mode.differs) == ("", ("a", "b"), "Not so.")
    assert quiet.default == "false"
    assert (word.places, word.secret) == (("authentication",), True)


def test_types_with_the_same_parameters_share_a_table() -> None:
    definition = Definition(Example, lambda parameters, trigger, world: None, "An example.")  # type: ignore[arg-type,return-value]
    assert markdown({"x": definition, "y": definition}) == (
        "#### x, y\n\n"
        "| parameter | from | default | what it says | |\n| --- | --- | --- | --- | --- |\n"
        "| `host` | metadata, authentication, …FromEnv | required | Where \\| it is. | works |\n"
        "| `rate` (older: `speed`) | metadata | `2` | How fast. | works |\n"
        "| `mode` | metadata |  | How. One of `a`, `b`. | differs: Not so. |\n"
        "| `quiet` | metadata | `false` | Whether. | works |\n"
        "| `word` | authentication |  | The word. | works |\n"
        "| any other | metadata | | Handed on. | works |\n"
    )
