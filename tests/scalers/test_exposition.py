from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalers.exposition import find_sample, parse_selector

RECORDED = (Path(__file__).parent / "recorded" / "exposition.txt").read_text()
QUEUES = """# HELP backend_queue_size Total number of items
    # TYPE backend_queue_size counter
    backend_queue_size{queueName="zero"} 0
    backend_queue_size{queueName="one"} 1
    backend_queue_size{queueName="two", instance="random"} 2
    backend_queue_size{queueName="two", instance="zero"} 20
    # HELP random_metric Random metric generate to include noise
    # TYPE random_metric counter
    random_metric 10"""
ODD = 'a_b{x="}1",y="say \\"hi\\"\\n\\\\",} 1.5e3 1700000000000\r\na_b_total 7\r\na_b 3 # {trace="x"} 1\r\n'


@pytest.mark.parametrize(
    ("text", "selector", "value"),
    [
        pytest.param(QUEUES, "random_metric", 10, id="no labels, no end of line"),
        pytest.param(QUEUES, 'backend_queue_size{queueName="one"}', 1, id="one label"),
        pytest.param(QUEUES, 'backend_queue_size{queueName="two"}', 2, id="the first of several"),
        pytest.param(QUEUES, 'backend_queue_size{queueName="two", instance="zero"}', 20, id="two labels"),
        pytest.param(QUEUES, "backend_queue_size{queueName='two',instance!='random'}", 20, id="not"),
        pytest.param(QUEUES, 'backend_queue_size{queueName=~"t.+",instance=~"ze.*"}', 20, id="regular"),
        pytest.param(QUEUES, 'backend_queue_size{queueName=~"t"}', None, id="regular ones match the whole"),
        pytest.param(QUEUES, 'backend_queue_size{queueName!~"zero|one",instance!=""}', 2, id="not regular"),
        pytest.param(QUEUES, '{__name__="random_metric"}', 10, id="name as a label"),
        pytest.param(QUEUES, "backend_queue", None, id="a shorter name"),
        pytest.param(QUEUES, "gone", None, id="nothing"),
        pytest.param(ODD, 'a_b{x="}1",y="say \\"hi\\"\\n\\\\"}', 1500, id="escapes, a timestamp"),
        pytest.param(ODD, 'a_b{x=""}', 3, id="without the label, an exemplar"),
        pytest.param(ODD, "a_b_total", 7, id="a longer name"),
        pytest.param(RECORDED, "go_goroutines", 30, id="a real gauge"),
        pytest.param(RECORDED, 'prometheus_tsdb_head_samples_appended_total{type="float"}', 460, id="a real counter"),
        pytest.param(
            RECORDED, 'prometheus_engine_query_duration_seconds_count{slice="inner_eval"}', 21, id="of a real summary"
        ),
    ],
)
def test_samples(text: str, selector: str, value: float | None) -> None:
    assert find_sample(text, parse_selector(selector)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backend_queue_size{invalid=test}", "has 'invalid=test' between its braces"),
        ('{a="b"}', "must name a metric"),
        ("", "must name a metric"),
        ("a b", "must be a selector"),
        ('a{b="c"', "must be a selector"),
        ('a{b=~"("}', "no regular expression"),
    ],
)
def test_what_is_no_selector(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_selector(text)


@pytest.mark.parametrize("line", ['a{b="c" 1', "a one", 'a{b="c"}'])
def test_a_line_that_is_none_is_no_number(line: str) -> None:
    with pytest.raises(ValueError, match="a line has"):
        find_sample(line, parse_selector("a"))


@given(st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,4}", fullmatch=True), st.text(max_size=6), max_size=3))
def test_any_label_value_comes_through(labels: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    lined = {key: "".join(letter for letter in value if not _breaks(letter)) for key, value in labels.items()}
    inside = ",".join(f'{key}="{quoted(value)}"' for key, value in lined.items() if key != "__name__")
    assert find_sample(f"m{{{inside}}} 4\n", parse_selector(f"m{{{inside}}}")) == 4


def _breaks(letter: str) -> bool:
    """What ends a line for Python alone."""
    return letter != "\n" and len(f"a{letter}b".splitlines()) > 1
