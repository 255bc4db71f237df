from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources.expansion import expand, references


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("$(A)-$(B)", "1-2"),
        ("$(NOPE)", "$(NOPE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$", "$"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$($$)", "$($$)"),  # a name that nothing has, as in Kubernetes
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


@given(st.text(st.sampled_from("$)AB x"), max_size=30))
def test_expansion_without_references_only_undoubles_dollars(text: str) -> None:
    assert expand(text, {}) == text.replace("$$", "$")


def test_what_a_text_refers_to() -> None:
    assert references("$(A)/$$(B)/$(C)-$D") == {"A", "C"}
