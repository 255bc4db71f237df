"""`config-defaults`: what admission fills into a revision template, and the bounds it checks against.

Source: knative.dev/serving/pkg/apis/config/defaults.go. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import FieldError
from core.settings.declaration import (
    Quantity,
    Settings,
    TemplateText,
    Truth,
    TruthOrDefault,
    Whole,
    invalid,
    key,
    parse_settings,
)
from core.settings.templates import NameTemplate, parse_template

PARENT_FIELDS: Final = {"Name": False, "Namespace": False, "Labels": True, "Annotations": True}
"""What a container name template may use: the metadata of the object that holds the template."""


def _name(text: str) -> NameTemplate:
    return parse_template(text, PARENT_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultsSettings(Settings):
    """What `config-defaults` says. Quantities are kept as written; None: unset."""

    revision_timeout_s: int = key(
        "revision-timeout-seconds", Whole(0), 300, "timeoutSeconds, where a revision has none"
    )
    max_revision_timeout_s: int = key(
        "max-revision-timeout-seconds", Whole(0), 600, "the largest timeoutSeconds allowed"
    )
    own_response_start_timeout_s: int | None = key(
        "revision-response-start-timeout-seconds",
        Whole(0),
        None,
        "responseStartTimeoutSeconds, where a revision has none; as revision-timeout-seconds where unset",
    )
    revision_idle_timeout_s: int = key(
        "revision-idle-timeout-seconds", Whole(0), 0, "idleTimeoutSeconds, where a revision has none; 0: off"
    )
    container_concurrency: int = key(
        "container-concurrency", Whole(0), 0, "containerConcurrency, where a revision has none; 0: unlimited"
    )
    container_concurrency_max_limit: int = key(
        "container-concurrency-max-limit", Whole(1), 1000, "the largest containerConcurrency allowed"
    )
    allow_container_concurrency_zero: bool = key(
        "allow-container-concurrency-zero", Truth(), True, "whether a user may ask for unlimited concurrency"
    )
    enable_service_links: bool | None = key(
        "enable-service-links", TruthOrDefault(), False, "enableServiceLinks, where a revision has none"
    )
    container_name: NameTemplate = key(
        "container-name-template", TemplateText(PARENT_FIELDS), _name("user-container"), "name of a nameless container"
    )
    init_container_name: NameTemplate = key(
        "init-container-name-template",
        TemplateText(PARENT_FIELDS),
        _name("init-container"),
        "name of a nameless init container",
    )
    revision_cpu_request: str | None = key("revision-cpu-request", Quantity(), None, "resources.requests.cpu")
    revision_memory_request: str | None = key("revision-memory-request", Quantity(), None, "resources.requests.memory")
    revision_ephemeral_storage_request: str | None = key(
        "revision-ephemeral-storage-request", Quantity(), None, "resources.requests.ephemeral-storage"
    )
    revision_cpu_limit: str | None = key("revision-cpu-limit", Quantity(), None, "resources.limits.cpu")
    revision_memory_limit: str | None = key("revision-memory-limit", Quantity(), None, "resources.limits.memory")
    revision_ephemeral_storage_limit: str | None = key(
        "revision-ephemeral-storage-limit", Quantity(), None, "resources.limits.ephemeral-storage"
    )

    @property
    def revision_response_start_timeout_s(self) -> int:
        """In force: what was set, else the total timeout; 0: off."""
        own = self.own_response_start_timeout_s
        return self.revision_timeout_s if own is None else own

    def problems(self) -> Sequence[FieldError]:
        return tuple(self._problems())

    def _problems(self) -> Iterator[FieldError]:
        total, most = self.revision_timeout_s, self.max_revision_timeout_s
        if total > most:
            allowed = f"cannot be greater than max-revision-timeout-seconds ({most})"
            yield invalid("revision-timeout-seconds", total, allowed)
        parts = {
            "revision-response-start-timeout-seconds": self.revision_response_start_timeout_s,
            "revision-idle-timeout-seconds": self.revision_idle_timeout_s,
        }
        for name, value in parts.items():
            if value > total:
                yield invalid(name, value, f"cannot be greater than revision-timeout-seconds ({total})")
        if self.container_concurrency > self.container_concurrency_max_limit:
            allowed = f"must be in [0, container-concurrency-max-limit({self.container_concurrency_max_limit})] range"
            yield invalid("container-concurrency", self.container_concurrency, allowed)


def parse_defaults(data: Mapping[str, str]) -> DefaultsSettings | list[FieldError]:
    return parse_settings(DefaultsSettings, data)
