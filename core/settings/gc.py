"""`config-gc`: which old revisions are kept, and for how long.

Source: knative.dev/serving/pkg/gc/config.go. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import FieldError
from core.settings.declaration import OrDisabled, Seconds, Settings, Whole, invalid, key, parse_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class GcSettings(Settings):
    """What `config-gc` says. None: disabled."""

    retain_since_create_s: float | None = key(
        "retain-since-create-time", OrDisabled(Seconds()), 48 * 3600.0, "a revision this young is never stale"
    )
    retain_since_last_active_s: float | None = key(
        "retain-since-last-active-time", OrDisabled(Seconds()), 15 * 3600.0, "nor one that was routed to this recently"
    )
    min_non_active_revisions: int = key(
        "min-non-active-revisions", Whole(0), 20, "so many that are not routed to are always kept"
    )
    max_non_active_revisions: int | None = key(
        "max-non-active-revisions", OrDisabled(Whole(0)), 1000, "beyond so many the oldest go, stale or not"
    )

    def problems(self) -> Sequence[FieldError]:
        most = self.max_non_active_revisions
        if most is None or self.min_non_active_revisions <= most:
            return ()
        allowed = f"must be <= max-non-active-revisions({most})"
        return (invalid("min-non-active-revisions", self.min_non_active_revisions, allowed),)


def parse_gc(data: Mapping[str, str]) -> GcSettings | list[FieldError]:
    return parse_settings(GcSettings, data)
