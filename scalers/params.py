"""How a scaler's parameters are declared, once each: name, where they may come from, what may stand there, help.

A scaler's `Parameters` are a frozen dataclass whose fields are made by `param`; parser, messages, command line and
documentation come from those. Values are read as KEDA reads them (pkg/scalers/scalersconfig/typed_config.go): the
trigger's metadata first, then what authenticationRef gave, then the container's environment by the metadata's
`<name>FromEnv`; the order is a parameter's own, and what is empty in one place is looked for in the next. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeVar

from core.errors import FieldError, FieldProblem
from core.settings.declaration import Choice, Reader
from scalers.readings import Trigger

FROM_ENV: Final = "FromEnv"
UNUSED_TARGET: Final = 1.0
"""Of a trigger that feeds a formula and says none."""


class Source(StrEnum):
    METADATA = "metadata"
    AUTH = "auth"  # a parameter of the authenticationRef
    ENV = "env"  # metadata `<name>FromEnv` names a variable of the target's container


METADATA: Final = (Source.METADATA,)
AUTH: Final = (Source.AUTH,)
ANYWHERE: Final = (Source.METADATA, Source.AUTH, Source.ENV)
AUTH_OR_ENV: Final = (Source.AUTH, Source.ENV)
METADATA_OR_ENV: Final = (Source.METADATA, Source.ENV)
METADATA_OR_AUTH: Final = (Source.METADATA, Source.AUTH)


class _Required:
    """No default: the trigger must say it."""


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter. `aliases` are older spellings; the name itself wins over them."""

    name: str
    reader: Reader
    help: str
    sources: tuple[Source, ...] = METADATA
    aliases: tuple[str, ...] = ()
    secret: bool = False
    required: bool = False
    is_target: bool = False  # what the reading is held at: not needed where a formula has a target of its own
    differs: str = ""  # how ours is not KEDA's: for the documentation


def param(name: str, reader: Reader, help: str, default: Any = REQUIRED, **more: Any) -> Any:
    """A dataclass field that is filled from a trigger. `more`: sources, aliases, secret, is_target, differs."""
    required = default is REQUIRED
    declared = Parameter(name, reader, help, required=required, **more)
    return field(default=None if required else default, repr=not declared.secret, metadata={"parameter": declared})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What `parse` makes. Subclasses add fields made by `param`, and judge themselves as a whole. One that is `open`
    hands on whatever else the metadata holds."""

    open: ClassVar[bool] = False

    def problems(self) -> Sequence[tuple[str, str]]:
        """Rules over more than one parameter: (parameter's name, what is wrong and what is allowed)."""
        return ()


P = TypeVar("P", bound=Parameters)


def declared_parameters(parameters: type[Parameters]) -> dict[str, Parameter]:
    """Field name → declaration, in the order of the class."""
    return {each.name: each.metadata["parameter"] for each in fields(parameters)}


def parse(parameters: type[P], trigger: Trigger) -> P | list[FieldError]:
    """All parameters of a trigger, with defaults for what is not in it; unknown ones are left alone."""
    values: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for name, declared in declared_parameters(parameters).items():
        text = _find(declared, trigger)
        if text is None:
            if _is_needed(declared, trigger):
                wrong.append(FieldError(f"{trigger.path}.metadata.{declared.name}", _missing(declared, trigger)))
            elif declared.required:
                values[name] = UNUSED_TARGET
            continue
        try:
            values[name] = declared.reader.read(text.strip())
        except ValueError as error:
            wrong.append(_invalid(declared, trigger, text, str(error)))
    if wrong:
        return wrong
    result = parameters(**values)
    problems = result.problems()
    return _explained(parameters, trigger, problems) if problems else result


def _explained(parameters: type[Parameters], trigger: Trigger, problems: Sequence[tuple[str, str]]) -> list[FieldError]:
    """What is missing because a variable is, first, and without what follows from that: it is what to see to."""
    named = {each.name: each for each in declared_parameters(parameters).values()}
    absent = {each.name: _no_variable(each, trigger) for each in named.values() if _find(each, trigger) is None}
    told = [(name, said) for name, said in absent.items() if said]
    follows = {name for name, said in problems if any(re.search(rf"\b{cause}\b", said) for cause, _ in told)}
    follows |= {name for name, _ in told}
    told += [(name, said + _hint(named.get(name), trigger)) for name, said in problems if name not in follows]
    return [FieldError(f"{trigger.path}.metadata.{name}", said) for name, said in told]


def check_written(parameters: type[Parameters], trigger: Trigger, authenticated: bool) -> list[FieldError]:
    """What is wrong with the trigger's own text, before anything that it refers to was looked up.

    What may still come from its authenticationRef (`authenticated`: it has one) or from a variable is not missing, and
    rules over several parameters wait until all are there.
    """
    found = parse(parameters, trigger)
    if not isinstance(found, list):
        return []
    declared = {f"{trigger.path}.metadata.{each.name}": each for each in declared_parameters(parameters).values()}
    awaited = {path for path, each in declared.items() if is_awaited(each, trigger, authenticated)}
    if not awaited:
        return found
    own = {path for path, each in declared.items() if path not in awaited and _is_wrong_alone(each, trigger)}
    return [error for error in found if error.path in own]


def is_awaited(declared: Parameter, trigger: Trigger, authenticated: bool) -> bool:
    """Whether it is not in the trigger's text, and may come from what that refers to."""
    if _find(declared, trigger) is not None:
        return False
    names = (declared.name, *declared.aliases)
    from_env = Source.ENV in declared.sources and any(f"{name}{FROM_ENV}" in trigger.metadata for name in names)
    return from_env or (authenticated and Source.AUTH in declared.sources)


def written(declared: Parameter, trigger: Trigger) -> Any:
    """Its value, as far as the trigger says it; None where it does not, or cannot be read."""
    text = _find(declared, trigger)
    if text is None:
        return None
    try:
        return declared.reader.read(text.strip())
    except ValueError:
        return None


def _is_needed(declared: Parameter, trigger: Trigger) -> bool:
    return declared.required and not (declared.is_target and trigger.feeds_formula)


def _is_wrong_alone(declared: Parameter, trigger: Trigger) -> bool:
    said = _find(declared, trigger) is not None
    return written(declared, trigger) is None if said else _is_needed(declared, trigger)


def unknown_parameters(parameters: type[Parameters], metadata: Mapping[str, str]) -> list[str]:
    """One sentence for every key that nobody reads, with the one it may have meant."""
    if parameters.open:
        return []
    declared = declared_parameters(parameters).values()
    known = [name for each in declared for name in (each.name, *each.aliases)]
    known += [
        f"{name}{FROM_ENV}" for each in declared if Source.ENV in each.sources for name in (each.name, *each.aliases)
    ]
    sentences = []
    for name in metadata:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            sentences.append(f"unknown parameter {name!r} has no effect{meant}")
    return sentences


def _find(declared: Parameter, trigger: Trigger) -> str | None:
    return next((text for _, text in _found(declared, trigger)), None)


def _found(declared: Parameter, trigger: Trigger) -> Iterator[tuple[Source, str]]:
    """Where it stands, the first of which counts."""
    for source in declared.sources:
        for name in (declared.name, *declared.aliases):
            text = _look(source, name, trigger)
            if text is not None and text.strip():
                yield source, text


def _look(source: Source, name: str, trigger: Trigger) -> str | None:
    if source is Source.METADATA:
        return trigger.metadata.get(name)
    if source is Source.AUTH:
        return trigger.auth.get(name)
    variable = trigger.metadata.get(f"{name}{FROM_ENV}")
    return None if variable is None else trigger.env.get(variable)


def _missing(declared: Parameter, trigger: Trigger) -> str:
    ways = {
        Source.METADATA: f"{declared.name} in the trigger's metadata",
        Source.AUTH: f"a parameter {declared.name} of its authenticationRef",
        Source.ENV: f"{declared.name}{FROM_ENV} in the metadata, naming a variable of the target's container",
    }
    if said := _no_variable(declared, trigger):
        return said
    return f"is required: {', or '.join(ways[source] for source in declared.sources)} ({declared.help})"


def _no_variable(declared: Parameter, trigger: Trigger) -> str:
    """Of a parameter that has no value: whether that is because a variable is not there. Else empty."""
    for name in (declared.name, *declared.aliases) if Source.ENV in declared.sources else ():
        variable = trigger.metadata.get(f"{name}{FROM_ENV}")
        if variable is not None:
            return f"{name}{FROM_ENV} names the variable {variable}, which the target's container does not have"
    return ""


def _invalid(declared: Parameter, trigger: Trigger, text: str, said: str) -> FieldError:
    """Only what stands in the trigger itself is shown: anything else may be a secret that took a wrong name."""
    source, _ = next(_found(declared, trigger))
    found = repr(text)
    if declared.secret or source is not Source.METADATA:
        found = "a value that is not shown"
        said = said if declared.secret else ""
    said = (said or declared.reader.allowed) + _hint(declared, trigger)
    problem = FieldProblem.NOT_SUPPORTED if isinstance(declared.reader, Choice) else FieldProblem.INVALID
    path = f"{trigger.path}.metadata.{declared.name}"
    return FieldError(path, f"is {found}, {said}", problem)


def _hint(declared: Parameter | None, trigger: Trigger) -> str:
    """Before KEDA 2 a value could be the name of a variable; examples of that time are still about."""
    if declared is None or Source.ENV not in declared.sources:
        return ""
    text = trigger.metadata.get(declared.name, "")
    if not re.fullmatch(r"[A-Za-z_][\w.-]*", text, re.ASCII):
        return ""
    return f"; if it names a variable of the target's container, write {declared.name}{FROM_ENV}"
