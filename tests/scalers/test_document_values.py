from __future__ import annotations

from typing import Any

import pytest

from scalers.document_values import by_keys, json_reader, number_found, yaml_reader


def test_where_a_location_leads() -> None:
    assert json_reader("a.1.b")(b'{"a": [1, {"b": 7}]}') == 7
    assert yaml_reader("a.1.b")(b"a: [1, {b: 7}]") == 7
    assert by_keys({1: {"x": 2}}, ["1", "x"]) == 2
    for read in (json_reader("a.c"), yaml_reader("a.c")):
        with pytest.raises(LookupError):
            read(b'{"a": {"b": 1}}')
    with pytest.raises(ValueError, match="no JSON"):
        json_reader("a")(b"<a>")
    with pytest.raises(ValueError, match="no YAML"):
        yaml_reader("a")(b"a: [")


@pytest.mark.parametrize(("found", "number"), [(3, 3.0), (2.5, 2.5), ("1k", 1000.0), (" 7 ", 7.0), ("500m", 0.5)])
def test_numbers_and_quantities(found: Any, number: float) -> None:
    assert number_found(found) == number


@pytest.mark.parametrize("found", [True, None, [], {}, "many", float("nan"), float("inf")])
def test_anything_else_is_an_error(found: Any) -> None:
    with pytest.raises(ValueError, match="leads to"):
        number_found(found)
