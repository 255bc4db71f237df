"""What the API is served from, and one request as the verbs see it. The roof builds the first, the edge the second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson
import yaml

from core.apiserver.logs import LogSource
from core.apiserver.negotiation import PLAIN, Form
from core.apiserver.paging import Snapshots
from core.apiserver.paths import Target
from core.clock import Clock
from core.errors import BadRequest, FieldError
from core.resources.meta import AdmissionContext, Json, Kind, Mutate, no_mutation
from core.store.base import Store


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with an object, and what is worth saying of it."""

    errors: Sequence[FieldError] = ()
    warnings: Sequence[str] = ()


Judge: TypeAlias = Callable[[Json, bool], Awaitable[Verdict]]
"""What another part of the platform says of an object that has passed the rules of its kind, and of what it has to do
with other objects: a validating webhook. The second argument says whether it is a dry run."""


def no_settings() -> Mapping[str, Any]:
    """For tests and tools without config-* ConfigMaps."""
    return {}


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything that the verbs may use. `closing` ends every watch and followed log, so that a server can stop."""

    store: Store
    kinds: Sequence[Kind[Any]]
    clock: Clock
    settings: Callable[[], Mapping[str, Any]] = no_settings
    logs: LogSource | None = None
    mutate: Mutate = no_mutation
    kept_namespaces: Collection[str] = ("default", "kube-system", "kube-public")
    judges: Mapping[Kind[Any], Judge] = field(default_factory=dict)
    judging: asyncio.Lock = field(default_factory=asyncio.Lock)  # from a verdict until what it was about is stored
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    snapshots: Snapshots = field(default_factory=Snapshots)
    _by_resource: dict[tuple[str, str, str], Kind[Any]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_resource.update({(kind.group, kind.version, kind.plural): kind for kind in self.kinds})

    def find(self, group: str, version: str, plural: str) -> Kind[Any] | None:
        """The kind behind a path, if it is served."""
        return self._by_resource.get((group, version, plural))

    def timestamp(self) -> str:
        """Now, as `metadata.creationTimestamp` has it."""
        return datetime.fromtimestamp(self.clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Call:
    """One request for a resource, read in full."""

    method: str
    target: Target
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""
    user: str = ""
    form: Form = PLAIN

    def flag(self, name: str) -> bool:
        return self.query.get(name, "") in ("1", "true", "True", "TRUE", "t", "T")

    def seconds(self, name: str) -> int | None:
        """A whole, non-negative number from the query. BadRequest."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise BadRequest(f'unable to decode query parameter {name}: strconv.ParseInt: parsing "{text}"')
        return int(text)

    @property
    def dry_run(self) -> bool:
        """Whether `dryRun=All`. BadRequest for another value."""
        text = self.query.get("dryRun", "")
        if text not in ("", "All"):
            raise BadRequest(f'invalid dryRun "{text}": supported values: "All"')
        return text == "All"

    @property
    def manager(self) -> str:
        """The field manager: as asked for, or the program's name (what stands before the first `/`)."""
        given = self.query.get("fieldManager", "")
        return given or self.headers.get("user-agent", "unknown").split("/", 1)[0][:128] or "unknown"

    def context(self, backend: Backend, old: Json | None = None) -> AdmissionContext:
        return AdmissionContext(backend.settings(), self.user, old, backend.mutate)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    body: bytes
    code: int = 200
    content_type: str = "application/json"
    warnings: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


Write: TypeAlias = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stream:
    """A response without a known end; `run` writes until there is no more, and is cancelled when the client leaves."""

    run: Callable[[Write], Awaitable[None]]
    content_type: str = "application/json"


def write_json(document: Any, form: Form = PLAIN, code: int = 200, warnings: Sequence[str] = ()) -> Answer:
    """An object in the form that the client asked for."""
    if form.yaml:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()
        return Answer(text, code, form.content_type, warnings)
    return Answer(orjson.dumps(document), code, form.content_type, warnings)
