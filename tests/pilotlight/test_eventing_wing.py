"""The eventing half of the house, built by pilotlight/eventing_wing.py, in a whole platform with a fake runtime."""

from __future__ import annotations

from pathlib import Path

from core.inside import Sites
from core.reconcile.events import Recorder
from core.resources.hosts import Hosts
from core.resources.kinds import KINDS
from core.store.memory import MemoryStore
from pilotlight.admission import SettingsInForce
from pilotlight.datadir import DataDir
from pilotlight.eventing_wing import Surroundings, make_eventing
from tests.support.clock import FakeClock
from tests.support.subscribers import Subscribers


def test_it_is_built_without_effect_on_the_machine(tmp_path: Path) -> None:
    clock, sites = FakeClock(), Sites()
    store = MemoryStore(KINDS, clock)
    recorder = Recorder(store, clock, "test")
    settings = SettingsInForce(store, clock)
    wing = make_eventing(
        Surroundings(store, clock, recorder, Hosts(), settings.current, Subscribers(), sites, DataDir(tmp_path))
    )
    names = [name for name, _ in wing.services]
    assert names[:4] == ["event-log", "outside", "eventing", "doors"]
    assert set(names[4:]) >= {"pingsources", "jobsinks", "kafkasinks"}
    assert {name for name, _ in wing.controllers} >= {"broker", "trigger"}
    assert not sites.places["broker-ingress.knative-eventing.svc.cluster.local"].public
    assert list(tmp_path.iterdir()) == []
