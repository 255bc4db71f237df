from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from core.resources.meta import ObjectKey
from core.settings.declaration import Choice, Text, Whole
from scalers.params import (
    ANYWHERE,
    AUTH_OR_ENV,
    Parameters,
    check_written,
    declared_parameters,
    param,
    parse,
    unknown_parameters,
)
from scalers.readings import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(Parameters):
    host: str = param("host", Text(), "Where it is.", sources=ANYWHERE, aliases=("hosts",))
    threshold: int = param("lagThreshold", Whole(1), "Lag per replica.", 10, aliases=("threshold",))
    mode: str = param("mode", Choice(("fast", "slow")), "How.", "fast")
    password: str | None = param("password", Choice(("sesame",)), "The word.", None, sources=AUTH_OR_ENV, secret=True)

    def problems(self) -> Sequence[tuple[str, str]]:
        return [("mode", "slow needs a threshold below 5")] if self.mode == "slow" and self.threshold >= 5 else ()


def trigger(metadata: dict[str, str], **more: Any) -> Trigger:
    return Trigger(ObjectKey("default", "orders"), 1, "example", metadata, **more)


@pytest.mark.parametrize(
    ("metadata", "auth", "env", "expected"),
    [
        pytest.param({"host": "a"}, {}, {}, ("a", 10, "fast", None), id="defaults"),
        pytest.param({"host": "a"}, {"host": "b"}, {}, ("a", 10, "fast", None), id="metadata wins over auth"),
        pytest.param({"hostFromEnv": "H"}, {"host": "b"}, {"H": "c"}, ("b", 10, "fast", None), id="auth wins over env"),
        pytest.param({"hostFromEnv": "H"}, {}, {"H": "c"}, ("c", 10, "fast", None), id="env"),
        pytest.param({"host": "a", "threshold": "3"}, {}, {}, ("a", 3, "fast", None), id="an alias"),
        pytest.param({"host": "a", "lagThreshold": ""}, {}, {}, ("a", 10, "fast", None), id="empty is absent"),
        pytest.param({"host": "", "hostFromEnv": "H"}, {}, {"H": "c"}, ("c", 10, "fast", None), id="in another place"),
        pytest.param({"host": "a"}, {"password": "sesame"}, {}, ("a", 10, "fast", "sesame"), id="a secret"),
        pytest.param({"host": "a", "password": "sesame"}, {}, {}, ("a", 10, "fast", None), id="not from metadata"),
    ],
)
def test_parse(
    metadata: dict[str, str], auth: dict[str, str], env: dict[str, str], expected: tuple[object, ...]
) -> None:
    found = parse(Example, trigger(metadata, auth=auth, env=env))
    assert isinstance(found, Example), found
    assert (found.host, found.threshold, found.mode, found.password) == expected


@pytest.mark.parametrize(
    ("metadata", "path", "words"),
    [
        pytest.param({}, "host", ("is required", "hostFromEnv", "authenticationRef"), id="missing"),
        pytest.param({"host": " "}, "host", ("is required",), id="empty"),
        pytest.param({"hostFromEnv": "H"}, "host", ("variable H",), id="no such variable"),
        pytest.param({"host": "a", "lagThreshold": "0"}, "lagThreshold", ("'0'", "at least 1"), id="out of bounds"),
        pytest.param({"host": "a", "mode": "x"}, "mode", ("'x'", "fast, slow"), id="not one of them"),
        pytest.param({"host": "a", "mode": "slow"}, "mode", ("below 5",), id="two together"),
    ],
)
def test_what_is_wrong_names_the_field(metadata: dict[str, str], path: str, words: Sequence[str]) -> None:
    wrong = parse(Example, trigger(metadata))
    assert isinstance(wrong, list)
    assert [each.path for each in wrong] == [f"spec.triggers[1].metadata.{path}"]
    assert all(word in wrong[0].message for word in words), wrong[0].message


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Parameters):
    size: int = param("size", Whole(1), "Of it, per replica.", is_target=True)
    queue: str = param("queue", Text(), "Which.")


def test_a_trigger_that_feeds_a_formula_needs_no_target_of_its_own() -> None:
    found = parse(Held, trigger({"queue": "a"}, feeds_formula=True))
    assert isinstance(found, Held), found
    assert found.queue == "a"
    wrong = parse(Held, trigger({}, feeds_formula=True))
    assert isinstance(wrong, list)
    assert [each.path for each in wrong] == ["spec.triggers[1].metadata.queue"]
    for authenticated in (False, True):
        assert check_written(Held, trigger({"queue": "a"}, feeds_formula=True), authenticated) == []
        (missing,) = check_written(Held, trigger({"queue": "a"}), authenticated)
        assert missing.path == "spec.triggers[1].metadata.size"
    wrong = parse(Held, trigger({"queue": "a", "size": "0"}, feeds_formula=True))
    assert isinstance(wrong, list), "what it says must make sense all the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(Parameters):
    url: str = param("url", Choice(("a://b",)), "Where.", sources=ANYWHERE, secret=True)
    twin: str = param("twin", Text(), "Where else.", "a://b", sources=ANYWHERE)
    mode: str = param("mode", Choice(("fast",)), "How.", "fast")

    def problems(self) -> Sequence[tuple[str, str]]:
        return [] if "://" in self.twin else [("twin", "must be a URL")]


@pytest.mark.parametrize(
    ("metadata", "hint"),
    [
        ({"url": "RabbitMqHost"}, "write urlFromEnv"),
        ({"url": "secret-key-name"}, "write urlFromEnv"),
        ({"url": "a://b", "twin": "TWIN_URL"}, "write twinFromEnv"),
        ({"url": "amqp://nowhere"}, ""),
        ({"url": "a://b", "mode": "SLOW"}, ""),
    ],
)
def test_what_may_be_the_name_of_a_variable_is_told_how_to_be_one(metadata: dict[str, str], hint: str) -> None:
    wrong = parse(Placed, trigger(metadata))
    assert isinstance(wrong, list)
    (error,) = wrong
    named = f"; if it names a variable of the target's container, {hint}"
    assert error.message.endswith(named) if hint else "FromEnv" not in error.message
    assert "RabbitMqHost" not in error.message, "a secret is not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Either(Parameters):
    connection: str = param("connection", Text(), "All of it.", "", sources=AUTH_OR_ENV)
    host: str = param("host", Text(), "Or this.", "", sources=ANYWHERE, aliases=("hosts",))
    port: str = param("port", Text(), "And this.", "", sources=ANYWHERE)

    def problems(self) -> Sequence[tuple[str, str]]:
        return [] if self.connection or self.host else [("host", "is required where there is no connection")]


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"hostFromEnv": "H"}, {"host": "hostFromEnv names the variable H"}),
        ({"hostsFromEnv": "H"}, {"host": "hostsFromEnv names the variable H"}),
        ({"connectionFromEnv": "C"}, {"connection": "connectionFromEnv names the variable C"}),
        (
            {"portFromEnv": "P"},
            {"port": "portFromEnv names the variable P", "host": "is required where there is no connection"},
        ),
        ({}, {"host": "is required where there is no connection"}),
    ],
)
def test_a_variable_that_is_missing_is_told_of_before_what_follows_from_that(
    metadata: dict[str, str], told: dict[str, str]
) -> None:
    wrong = parse(Either, trigger(metadata))
    assert isinstance(wrong, list)
    assert [each.path.rpartition(".")[2] for each in wrong] == list(told)
    assert all(each.message.startswith(words) for each, words in zip(wrong, told.values(), strict=True)), wrong
    assert not isinstance(parse(Either, trigger({"hostFromEnv": "H", "connectionFromEnv": "C"}, env={"C": "x"})), list)


def test_a_secret_is_shown_nowhere() -> None:
    wrong = parse(Example, trigger({"host": "a"}, auth={"password": "hunter2"}))
    assert isinstance(wrong, list)
    assert "hunter2" not in str(wrong)
    right = parse(Example, trigger({"host": "a"}, auth={"password": "sesame"}))
    assert not isinstance(right, list)
    assert "sesame" not in repr(right)
    assert "hunter2" not in repr(trigger({}, auth={"password": "hunter2"}, env={"P": "hunter2"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Parameters):
    open: ClassVar[bool] = True


def test_what_is_handed_on_may_be_anything() -> None:
    assert unknown_parameters(Open, {"lagTreshold": "1"}) == []


def test_unknown_parameters_are_named() -> None:
    assert unknown_parameters(Example, {"host": "a", "hostFromEnv": "b", "threshold": "1"}) == []
    assert unknown_parameters(Example, {"hostsFromEnv": "b"}) == []
    assert unknown_parameters(Example, {"lagTreshold": "1"}) == [
        "unknown parameter 'lagTreshold' has no effect; did you mean 'lagThreshold'?"
    ]
    assert list(declared_parameters(Example)) == ["host", "threshold", "mode", "password"]


@pytest.mark.parametrize(
    ("metadata", "auth", "env"),
    [
        pytest.param({}, {"mode": "s3cr3t"}, {}, id="of its authenticationRef"),
        pytest.param({"modeFromEnv": "MODE"}, {}, {"MODE": "s3cr3t"}, id="of the environment"),
    ],
)
def test_what_does_not_stand_in_the_trigger_is_not_shown(
    metadata: dict[str, str], auth: dict[str, str], env: dict[str, str]
) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Anywhere(Parameters):
        mode: str = param("mode", Choice(("fast", "slow")), "How.", sources=ANYWHERE)

    found = parse(Anywhere, trigger(metadata, auth=auth, env=env))
    assert isinstance(found, list)
    assert found[0].message == "is a value that is not shown, must be one of fast, slow"
