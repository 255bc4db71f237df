"""All subscriptions of a broker in one pass: which of them an event is for. Pure.

Of every filter the requirement counts (`eventing.filters.requirement`): which attributes must have which text. Filters
that ask for the same attributes share a `_Table`, keyed by the texts: an event costs one look-up for each combination
of attributes that anybody asks for, however many subscriptions ask for it. A table hangs under one of its attributes,
and events without it pass it by. Who is found is then asked itself, unless the requirement says it all; filters that
require nothing are always asked.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Generic, NamedTuple, TypeVar

from eventing.event import Event, Value, text_of
from eventing.filters.clauses import Filter
from eventing.filters.requirement import Requirement

Key = TypeVar("Key", bound=Hashable)
Texts = tuple[str, ...]

COMBINATIONS_MAX: Final = 64  # places of one filter in a table, where it allows several texts of several attributes
_COMMON: Final = ("specversion", "id", "source", "type")  # in every event, so that a table had better hang elsewhere


class _Probe(NamedTuple):
    """What a table looks at of an attribute: its text from `begin` to `end`, None being the end of it on that side."""

    name: str
    begin: int | None = None
    end: int | None = None


@dataclass(slots=True, eq=False)
class _Place(Generic[Key]):
    """Who is found here, in the order of their coming; those in `asked` must be asked themselves."""

    certain: dict[Key, None] = field(default_factory=dict)
    asked: dict[Key, Filter] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.certain or self.asked)


@dataclass(slots=True, eq=False)
class _Table(Generic[Key]):
    """The filters that require something of the same probes, by the texts that they require."""

    probes: tuple[_Probe, ...]
    gate: str
    places: dict[Texts, _Place[Key]] = field(default_factory=dict)

    def find(self, attributes: Mapping[str, Value]) -> _Place[Key] | None:
        texts = []
        for name, begin, end in self.probes:
            value = attributes.get(name)
            if value is None:
                return None
            texts.append(text_of(value)[begin:end])
        return self.places.get(tuple(texts))


class Matcher(Generic[Key]):
    """The subscriptions of one broker by key. Changed one by one as Triggers come and go."""

    def __init__(self, subscriptions: Mapping[Key, Filter] | None = None) -> None:
        self._numbers: dict[Key, int] = {}  # in the order of their coming, in which they are answered
        self._number = 0
        self._tables: dict[tuple[_Probe, ...], _Table[Key]] = {}
        self._gates: dict[str, list[_Table[Key]]] = {}
        self._everywhere: _Place[Key] = _Place()
        self._homes: dict[Key, tuple[_Table[Key], list[Texts]]] = {}
        for key, each in (subscriptions or {}).items():
            self.add(key, each)

    def __len__(self) -> int:
        return len(self._numbers)

    def match(self, event: Event) -> list[Key]:
        """The keys of all subscriptions whose filter the event passes, in the order in which they were added."""
        attributes = event.attributes
        places = [self._everywhere] if self._everywhere else []
        for name in attributes:
            places += [place for table in self._gates.get(name, ()) if (place := table.find(attributes))]
        if len(places) == 1 and not places[0].asked:
            return list(places[0].certain)  # in order as they are
        found = [key for place in places for key in place.certain]
        found += [key for place in places for key, each in place.asked.items() if each.passing(attributes)]
        if len(found) > 1:
            found.sort(key=self._numbers.__getitem__)
        return found

    def add(self, key: Key, subscription: Filter) -> None:
        """In place of what was there under this key; it then counts as the last that came."""
        self.remove(key)
        self._number += 1
        self._numbers[key] = self._number
        needed = subscription.requirement
        if needed.impossible:
            return
        texts_of_probe = _probes_of(needed)
        if not texts_of_probe:
            self._settle(self._everywhere, key, subscription, certain=needed.sufficient and not _affixes(needed))
            return
        probes = tuple(sorted(texts_of_probe, key=repr))
        table = self._tables.get(probes) or self._open(probes)
        homes = list(product(*(sorted(texts_of_probe[probe]) for probe in probes)))
        for texts in homes:
            place = table.places.setdefault(texts, _Place())
            self._settle(place, key, subscription, certain=needed.sufficient and _covers(probes, needed))
        self._homes[key] = (table, homes)

    def _settle(self, place: _Place[Key], key: Key, subscription: Filter, certain: bool) -> None:
        if certain:
            place.certain[key] = None
        else:
            place.asked[key] = subscription

    def remove(self, key: Key) -> None:
        """Nothing, if there is none of this key."""
        self._numbers.pop(key, None)
        self._everywhere.certain.pop(key, None)
        self._everywhere.asked.pop(key, None)
        if key not in self._homes:
            return
        table, homes = self._homes.pop(key)
        for texts in homes:
            place = table.places[texts]
            place.certain.pop(key, None)
            place.asked.pop(key, None)
            if not place:
                del table.places[texts]
        if not table.places:
            self._close(table)

    def _open(self, probes: tuple[_Probe, ...]) -> _Table[Key]:
        """A new table, under the attribute that fewest events have and fewest tables hang under."""
        names = {probe.name for probe in probes}
        gate = min(names, key=lambda name: (name in _COMMON, len(self._gates.get(name, ())), name))
        table: _Table[Key] = _Table(probes, gate)
        self._tables[probes] = table
        self._gates.setdefault(gate, []).append(table)
        return table

    def _close(self, table: _Table[Key]) -> None:
        del self._tables[table.probes]
        self._gates[table.gate].remove(table)
        if not self._gates[table.gate]:
            del self._gates[table.gate]


def _probes_of(needed: Requirement) -> dict[_Probe, frozenset[str]]:
    """Exact texts, if the filter asks for any; else the longest start or end that it asks for."""
    probes: dict[_Probe, frozenset[str]] = {}
    combinations = 1
    for name, texts in sorted(needed.exact.items(), key=lambda item: (len(item[1]), item[0])):
        combinations *= len(texts)
        if probes and combinations > COMBINATIONS_MAX:
            break
        probes[_Probe(name)] = texts
    if probes or not _affixes(needed):
        return probes
    starts = [(len(text), _Probe(name, None, len(text)), text) for name, text in needed.prefix.items()]
    ends = [(len(text), _Probe(name, -len(text), None), text) for name, text in needed.suffix.items()]
    _, probe, text = max([*starts, *ends], key=lambda each: each[0])
    return {probe: frozenset({text})}


def _covers(probes: tuple[_Probe, ...], needed: Requirement) -> bool:
    """Whether the probes look at all that is required."""
    return len(probes) == len(needed.exact) + _affixes(needed)


def _affixes(needed: Requirement) -> int:
    return len(needed.prefix) + len(needed.suffix)
