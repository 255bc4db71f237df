"""What is told of pip's output: deploy/runtimes/installing.py."""

from __future__ import annotations

from deploy.runtimes.installing import Steps, useful

OUTPUT = [
    (0.0, "making an environment", "making an environment"),
    (2.0, "Collecting flask (from -r requirements.txt (line 1))", "Collecting flask"),
    (2.1, "  Downloading flask-3.0-py3-none-any.whl (101 kB)", "Downloading flask-3.0-py3-none-any.whl (101 kB)"),
    (2.2, "  Downloading jinja2-3.1-py3-none-any.whl (133 kB)", ""),
    (2.3, "Collecting itsdangerous>=2.1 (from flask->-r requirements.txt (line 1))", "Collecting itsdangerous>=2.1"),
    (3.2, "Collecting click", ""),
    (3.4, "Collecting blinker", "Collecting blinker"),
    (3.5, "  Using cached blinker-1.9.0-py3-none-any.whl (8.5 kB)", ""),
    (
        3.6,
        "Installing collected packages: blinker, click, flask",
        "Installing collected packages: blinker, click, flask",
    ),
    (9.9, "Successfully installed flask-3.0", ""),
    (9.9, "ready", ""),
]


def test_steps_are_few_and_each_sort_is_told_at_once() -> None:
    steps = Steps()
    assert [(at, steps.take(line, at)) for at, line, _ in OUTPUT] == [(at, told) for at, _, told in OUTPUT]


def test_a_step_has_a_bound() -> None:
    assert len(Steps().take("Installing collected packages: " + "a, " * 1000, 0.0)) == 200


def test_useful_lines_begin_with_the_error() -> None:
    noise = ["Collecting a", "  Downloading a.whl", "", "[notice] a new release"]
    assert useful([*noise, "ERROR: no match", "ERROR: no a"]) == "ERROR: no match\nERROR: no a"
    assert useful([*noise, "killed"]) == "killed"
