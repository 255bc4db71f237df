"""`--traffic`, `--tag`, `--untag` on a Service's traffic list. No I/O.

kn's rules: `@latest` floats; a tag wins over a revision of the same name; percentages sum to 100, or exactly one target
is left out and gets the rest; a tag belongs to one target.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.resources.meta import Json

LATEST = "@latest"


def plan_traffic(
    current: Sequence[Json], traffic: Sequence[str], tags: Sequence[str] = (), untags: Sequence[str] = ()
) -> list[Json]:
    """The new `spec.traffic`. ValueError says what does not add up."""
    targets = [dict(target) for target in current] or [{"latestRevision": True, "percent": 100}]
    for target in targets:
        target.pop("url", None)
    _remove_tags(targets, _split(untags))
    _add_tags(targets, _split(tags))
    if traffic:
        targets = _share(targets, _split(traffic))
    return [target for target in targets if target.get("percent") or target.get("tag")]


def _split(values: Iterable[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]


def _remove_tags(targets: list[Json], untags: Sequence[str]) -> None:
    for tag in untags:
        found = [target for target in targets if target.get("tag") == tag]
        if not found:
            raise ValueError(f"--untag {tag}: the service has no such tag")
        for target in found:
            del target["tag"]


def _add_tags(targets: list[Json], tags: Sequence[str]) -> None:
    for pair in tags:
        reference, separator, tag = pair.partition("=")
        if not separator or not reference or not tag:
            raise ValueError(f"--tag {pair!r}: expected REVISION=TAG or {LATEST}=TAG")
        if any(target.get("tag") == tag and not _is(target, reference) for target in targets):
            raise ValueError(f"--tag {pair}: tag {tag!r} already belongs to another target; give --untag {tag} first")
        untagged = [target for target in targets if _is(target, reference) and "tag" not in target]
        if any(_is(target, reference) and target.get("tag") == tag for target in targets):
            continue
        if untagged:
            untagged[0]["tag"] = tag
        else:
            targets.append({**_new(reference), "tag": tag, "percent": 0})


def _share(targets: list[Json], traffic: Sequence[str]) -> list[Json]:
    shares: dict[str, int | None] = {}
    for entry in traffic:
        reference, _, text = entry.partition("=")
        if reference in shares:
            raise ValueError(f"--traffic: {reference} is named twice")
        shares[reference] = _percent(entry, text) if text else None
    open_ended = [reference for reference, percent in shares.items() if percent is None]
    total = sum(percent or 0 for percent in shares.values())
    if len(open_ended) > 1:
        raise ValueError(f"--traffic: only one target may be left without a percentage, not {', '.join(open_ended)}")
    if open_ended:
        shares[open_ended[0]] = 100 - total
    _give_the_rest(targets, shares, total, explicit=not open_ended)
    for target in targets:
        target.pop("percent", None)
    for reference, percent in shares.items():
        _find(targets, reference)["percent"] = percent
    return targets


def _give_the_rest(targets: list[Json], shares: dict[str, int | None], total: int, *, explicit: bool) -> None:
    """Below 100 the rest goes to the one target that had traffic and was not named."""
    if total > 100 or (explicit and total < 100):
        named = {id(target) for reference in shares for target in [_match(targets, reference)] if target}
        others = [target for target in targets if target.get("percent") and id(target) not in named]
        if total > 100 or len(others) != 1:
            raise ValueError(f"--traffic: percentages sum to {total}, want 100")
        shares[_reference(others[0])] = 100 - total


def _reference(target: Json) -> str:
    return str(target.get("tag") or (LATEST if target.get("latestRevision") else target["revisionName"]))


def _percent(entry: str, text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise ValueError(f"--traffic {entry!r}: expected TARGET=PERCENT with a percent from 0 to 100")
    return int(text)


def _match(targets: list[Json], reference: str) -> Json | None:
    """The tag of that name, else the target without a tag, else any target of that revision."""
    tagged = [target for target in targets if target.get("tag") == reference]
    plain = [target for target in targets if _is(target, reference)]
    return next(iter([*tagged, *sorted(plain, key=lambda target: "tag" in target)]), None)


def _find(targets: list[Json], reference: str) -> Json:
    found = _match(targets, reference)
    if found is None:
        found = _new(reference)
        targets.append(found)
    return found


def _is(target: Json, reference: str) -> bool:
    if reference == LATEST:
        return bool(target.get("latestRevision"))
    return target.get("revisionName") == reference


def _new(reference: str) -> Json:
    if reference == LATEST:
        return {"latestRevision": True}
    return {"revisionName": reference, "latestRevision": False}
