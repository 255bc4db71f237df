"""Server-side apply: who owns what after every sort of write, and what may not be changed."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.apiserver.fieldsets import FieldSet, from_json, paths_set
from core.apiserver.serverside import LAST_APPLIED, apply, apply_status, track_update
from core.apiserver.structured import compare, fields_of
from core.errors import BadRequest, Conflict, FieldProblem
from core.resources.core_v1 import CONFIG_MAP
from core.resources.meta import Json
from core.resources.networking import INGRESS
from core.resources.pods import POD
from core.resources.schema import schema_of
from core.resources.workloads import DEPLOYMENT

T1, T2, T3 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def config_map(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": data}


def pod(**spec: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def owners(obj: Json) -> dict[str, list[str]]:
    """Manager → paths; updaters are marked with a star."""
    return {
        entry["manager"] + ("*" if entry["operation"] == "Update" else ""): list(from_json(entry["fieldsV1"]).paths())
        for entry in obj["metadata"].get("managedFields", ())
    }


def without_managers(obj: Json) -> Json:
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "managedFields"}}


def stored(obj: Json) -> Json:
    """As the store gives it back: another object, with a uid."""
    copied: Json = orjson.loads(orjson.dumps(obj))
    copied["metadata"].setdefault("uid", "u")
    return copied


def test_an_apply_creates_and_owns_what_it_sent() -> None:
    obj = apply(CONFIG_MAP, None, config_map(a="1"), "me", False, T1)
    assert without_managers(obj) == config_map(a="1")
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "me",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
        }
    ]


def test_the_same_apply_again_changes_nothing_at_all() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1"), "me", False, T1))
    before = copy.deepcopy(live)
    assert apply(CONFIG_MAP, live, config_map(a="1"), "me", False, T2) is live
    assert live == before


def test_what_is_no_longer_sent_goes() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1", b="2"), "me", False, T1))
    obj = apply(CONFIG_MAP, live, config_map(b="3"), "me", False, T2)
    assert obj["data"] == {"b": "3"}
    assert owners(obj) == {"me": [".data.b"]}
    assert obj["metadata"]["uid"] == "u"
    assert obj["metadata"]["managedFields"][0]["time"] == T2


def test_what_another_owns_too_stays() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1", b="2"), "one", False, T1))
    live = stored(apply(CONFIG_MAP, live, config_map(a="1"), "two", False, T2))
    assert owners(live) == {"one": [".data.a", ".data.b"], "two": [".data.a"]}
    obj = apply(CONFIG_MAP, live, config_map(b="2"), "one", False, T3)
    assert obj["data"] == {"a": "1", "b": "2"}
    assert owners(obj) == {"one": [".data.b"], "two": [".data.a"]}


def test_another_value_for_what_another_owns_is_a_conflict() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1", b="2"), "one", False, T1))
    with pytest.raises(Conflict) as caught:
        apply(CONFIG_MAP, live, config_map(a="9"), "two", False, T2)
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert [(c.path, c.message, c.problem) for c in caught.value.causes] == [
        (".data.a", 'conflict with "one"', FieldProblem.MANAGER_CONFLICT)
    ]
    with pytest.raises(Conflict) as caught:
        apply(CONFIG_MAP, live, config_map(a="9", b="9"), "two", False, T2)
    assert caught.value.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'


def test_force_takes_the_field() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1", b="2"), "one", False, T1))
    obj = apply(CONFIG_MAP, live, config_map(a="9"), "two", True, T2)
    assert obj["data"] == {"a": "9", "b": "2"}
    assert owners(obj) == {"one": [".data.b"], "two": [".data.a"]}
    assert [entry["time"] for entry in obj["metadata"]["managedFields"]] == [T1, T2]


def test_an_update_takes_what_it_changes_and_nothing_else() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1", b="2"), "one", False, T1))
    new = copy.deepcopy(live)
    new["data"] = {"a": "9", "b": "2", "c": "3"}
    obj = track_update(CONFIG_MAP, live, new, "editor", T2, "")
    assert owners(obj) == {"one": [".data.b"], "editor*": [".data.a", ".data.c"]}
    with pytest.raises(Conflict, match='conflict with "editor" using v1'):
        apply(CONFIG_MAP, stored(obj), config_map(a="1", b="2"), "one", False, T3)


def test_an_update_that_changes_nothing_leaves_the_managers_as_they_are() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1"), "one", False, T1))
    assert track_update(CONFIG_MAP, live, copy.deepcopy(live), "editor", T2, "") == live
    bare = without_managers(copy.deepcopy(live))
    assert track_update(CONFIG_MAP, live, bare, "editor", T2, "") == live


def test_what_an_update_removes_nobody_owns() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1", b="2"), "one", False, T1))
    new = copy.deepcopy(live)
    del new["data"]["a"]
    assert owners(track_update(CONFIG_MAP, live, new, "editor", T2, "")) == {"one": [".data.b"]}


def test_a_create_is_owned_by_its_writer_system_fields_by_nobody() -> None:
    obj = {**config_map(a="1"), "metadata": {"name": "c", "labels": {"x": "y"}, "uid": "u", "resourceVersion": "1"}}
    tracked = track_update(CONFIG_MAP, None, obj, "kubectl-create", T1, "")
    assert owners(tracked) == {"kubectl-create*": [".data", ".data.a", ".metadata.labels", ".metadata.labels.x"]}


def test_two_updates_of_one_manager_are_one_entry_two_subresources_are_two() -> None:
    obj = stored(track_update(DEPLOYMENT, None, deployment(replicas=1), "k", T1, ""))
    more = copy.deepcopy(obj)
    more["spec"]["paused"] = True
    obj = stored(track_update(DEPLOYMENT, obj, more, "k", T2, ""))
    assert [entry["time"] for entry in obj["metadata"]["managedFields"]] == [T2]
    scaled = copy.deepcopy(obj)
    scaled["spec"]["replicas"] = 5
    obj = stored(track_update(DEPLOYMENT, obj, scaled, "k", T3, "scale"))
    assert [entry.get("subresource") for entry in obj["metadata"]["managedFields"]] == [None, "scale"]
    with pytest.raises(Conflict, match=r'conflict with "k" with subresource "scale" using apps/v1: \.spec\.replicas'):
        apply(DEPLOYMENT, obj, deployment(replicas=2), "me", False, T3)


def deployment(**spec: Any) -> Json:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_status_belongs_to_the_writers_of_status() -> None:
    live = stored(apply(DEPLOYMENT, None, {**deployment(replicas=1), "status": {"replicas": 9}}, "me", False, T1))
    assert "status" not in live
    with_status = {**live, "spec": {"replicas": 7}, "status": {"replicas": 1}}
    obj = track_update(DEPLOYMENT, live, with_status, "controller", T2, "status")
    assert owners(obj) == {"me": [".spec.replicas"], "controller*": [".status", ".status.replicas"]}
    applied = {**deployment(replicas=5), "status": {"readyReplicas": 1}}
    obj = apply_status(
        DEPLOYMENT, stored(track_update(DEPLOYMENT, live, live, "c", T2, "")), applied, "prober", False, T3
    )
    assert obj["spec"] == {"replicas": 1}
    assert obj["status"] == {"readyReplicas": 1}
    assert owners(obj) == {"me": [".spec.replicas"], "prober": [".status.readyReplicas"]}


def test_what_nobody_tracked_belongs_to_whoever_was_there_before() -> None:
    live = stored(config_map(a="1", b="2"))
    assert (
        track_update(CONFIG_MAP, live, {**live, "data": {"a": "2"}}, "editor", T1, "")["metadata"] == live["metadata"]
    )
    with pytest.raises(Conflict, match='conflict with "before-first-apply" using v1'):
        apply(CONFIG_MAP, live, config_map(a="9"), "me", False, T1)
    obj = apply(CONFIG_MAP, live, config_map(a="1"), "me", False, T1)
    assert owners(obj) == {"me": [".data.a"], "before-first-apply*": [".data", ".data.a", ".data.b"]}


def test_a_client_may_clear_the_managers_but_not_break_them() -> None:
    live = stored(apply(CONFIG_MAP, None, config_map(a="1"), "one", False, T1))
    for cleared in ([], [{}]):
        new = {**live, "metadata": {**live["metadata"], "managedFields": cleared}}
        assert owners(track_update(CONFIG_MAP, live, new, "editor", T2, "")) == {}
    broken = {**live, "metadata": {**live["metadata"], "managedFields": [{"manager": "x"}]}}
    assert owners(track_update(CONFIG_MAP, live, broken, "editor", T2, "")) == owners(live)


def item(name: str, **fields: Any) -> Json:
    return {"name": name, "image": "1", **fields}


def test_containers_of_two_appliers_live_side_by_side() -> None:
    live = stored(apply(POD, None, pod(containers=[item("a")]), "one", False, T1))
    live = stored(apply(POD, live, pod(containers=[item("b")]), "two", False, T2))
    assert live["spec"]["containers"] == [item("a"), item("b")]
    obj = apply(POD, live, pod(containers=[item("c")]), "one", False, T3)
    assert obj["spec"]["containers"] == [item("b"), item("c")]


def test_a_container_that_its_applier_drops_goes_with_what_others_put_into_it() -> None:
    live = stored(apply(POD, None, pod(containers=[item("a"), item("b")]), "one", False, T1))
    new = copy.deepcopy(live)
    new["spec"]["containers"][1]["tty"] = True
    live = stored(track_update(POD, live, new, "editor", T2, ""))
    obj = apply(POD, live, pod(containers=[item("a")]), "one", False, T3)
    assert obj["spec"]["containers"] == [item("a")]
    assert list(owners(obj)) == ["one"]


def test_a_container_that_two_apply_stays_with_the_part_of_each() -> None:
    live = stored(apply(POD, None, pod(containers=[item("a"), item("b", tty=True)]), "one", False, T1))
    live = stored(apply(POD, live, pod(containers=[{"name": "b", "stdin": True}]), "two", False, T2))
    obj = apply(POD, live, pod(containers=[item("a")]), "one", False, T3)
    assert obj["spec"]["containers"] == [item("a"), {"name": "b", "stdin": True}]


def test_defaults_go_with_the_struct_they_were_filled_into() -> None:
    live = stored(apply(DEPLOYMENT, None, deployment(strategy={"rollingUpdate": {"maxSurge": 1}}), "me", False, T1))
    live["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}
    live["spec"]["replicas"] = 1
    obj = apply(DEPLOYMENT, live, deployment(paused=True), "me", False, T2)
    assert obj["spec"] == {"replicas": 1, "paused": True}


def test_a_struct_that_an_updater_wrote_into_keeps_that() -> None:
    live = stored(apply(POD, None, pod(securityContext={"runAsUser": 1}), "me", False, T1))
    new = copy.deepcopy(live)
    new["spec"]["securityContext"]["fsGroup"] = 2
    live = stored(track_update(POD, live, new, "editor", T2, ""))
    for last in (pod(hostname="h"), pod(hostname="h", securityContext={}), pod(hostname="h", securityContext=None)):
        obj = apply(POD, live, last, "me", False, T3)
        assert obj["spec"] == {"hostname": "h", "securityContext": {"fsGroup": 2}}


def test_atomic_fields_are_owned_as_one() -> None:
    live = stored(apply(POD, None, pod(nodeSelector={"a": "1"}, tolerations=[{"key": "x"}]), "one", False, T1))
    assert owners(live) == {"one": [".spec.nodeSelector", ".spec.tolerations"]}
    with pytest.raises(Conflict):
        apply(POD, live, pod(nodeSelector={"b": "2"}), "two", False, T2)
    assert apply(POD, live, pod(nodeSelector={"b": "2"}), "two", True, T2)["spec"]["nodeSelector"] == {"b": "2"}


def test_lists_of_custom_kinds_are_owned_as_one() -> None:
    rule = {"hosts": ["a"], "http": {"paths": []}}
    ingress = {
        "apiVersion": INGRESS.api_version,
        "kind": "Ingress",
        "metadata": {"name": "i"},
        "spec": {"rules": [rule]},
    }
    assert owners(apply(INGRESS, None, ingress, "me", False, T1)) == {"me": [".spec.rules"]}


@pytest.mark.parametrize(
    ("applied", "message"),
    [
        ({**config_map(), "apiVersion": "v2"}, "Incorrect version specified in apply patch"),
        ({**config_map(), "metadata": {"name": "c", "managedFields": []}}, "managedFields must be nil"),
        ({**config_map(), "metadata": {"name": "c", "finalizers": ["a", "a"]}}, "duplicate entries"),
    ],
)
def test_applies_that_make_no_sense(applied: Json, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        apply(CONFIG_MAP, None, applied, "me", False, T1)


def client_side(obj: Json, live: Json | None = None) -> Json:
    """What `kubectl apply` without --server-side leaves behind."""
    annotated = {**obj, "metadata": {**obj["metadata"], "annotations": {LAST_APPLIED: orjson.dumps(obj).decode()}}}
    return stored(track_update(CONFIG_MAP, live, annotated, "kubectl-client-side-apply", T1, ""))


def test_kubectl_takes_over_from_its_own_client_side_apply() -> None:
    live = client_side(config_map(a="1", b="2"))
    obj = apply(CONFIG_MAP, live, config_map(a="9", b="2"), "kubectl", False, T2)
    assert obj["data"] == {"a": "9", "b": "2"}
    assert owners(obj)["kubectl"] == [".data.a", ".data.b"]
    assert ".data.a" not in owners(obj)["kubectl-client-side-apply*"]
    renewed = orjson.loads(obj["metadata"]["annotations"][LAST_APPLIED])
    assert renewed["data"] == {"a": "9", "b": "2"}
    with pytest.raises(Conflict):
        apply(CONFIG_MAP, live, config_map(a="9"), "somebody", False, T2)


def test_kubectl_does_not_take_over_what_others_changed_since() -> None:
    live = client_side(config_map(a="1", b="2"))
    new = copy.deepcopy(live)
    new["data"]["a"] = "changed"
    live = stored(track_update(CONFIG_MAP, live, new, "editor", T2, ""))
    with pytest.raises(Conflict) as caught:
        apply(CONFIG_MAP, live, config_map(a="9", b="9"), "kubectl", False, T3)
    assert [cause.path for cause in caught.value.causes] == [".data.a"]


def test_kubectl_hands_its_client_side_fields_over_by_patching_the_managers() -> None:
    """kubectl's own migration: it rewrites managedFields, so that what it drops afterwards really goes."""
    live = client_side(config_map(a="1", b="2"))
    entries = [{**live["metadata"]["managedFields"][0], "manager": "kubectl", "operation": "Apply"}]
    patched = {**live, "metadata": {**live["metadata"], "managedFields": entries}}
    live = stored(track_update(CONFIG_MAP, live, patched, "kubectl", T2, ""))
    assert list(owners(live)) == ["kubectl"]
    obj = apply(CONFIG_MAP, live, config_map(a="1"), "kubectl", False, T3)
    assert obj["data"] == {"a": "1"}


# Histories

NAMES = st.sampled_from("abc")
VALUES = st.sampled_from("12")
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES}, optional={"image": VALUES, "tty": st.booleans(), "command": st.lists(VALUES)}
    ),
    unique_by=lambda container: container["name"],
    max_size=3,
)
OBJECTS = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Pod")},
    optional={
        "metadata": st.fixed_dictionaries(
            {"name": st.just("p")},
            optional={
                "labels": st.dictionaries(NAMES, VALUES, max_size=2),
                "finalizers": st.lists(NAMES, unique=True, max_size=2),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": CONTAINERS,
                "hostname": VALUES,
                "nodeSelector": st.dictionaries(NAMES, VALUES, max_size=1),
                "securityContext": st.dictionaries(st.sampled_from(["runAsUser", "fsGroup"]), st.integers(1, 2)),
            },
        ),
    },
).map(lambda obj: {"metadata": {"name": "p"}, **obj})
WRITES = st.tuples(st.sampled_from(["one", "two", "edit"]), OBJECTS, st.booleans())
NEVER = paths_set(("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "uid"))


def write(live: Json | None, who: str, obj: Json, force: bool) -> Json | None:
    """One step of a history; a conflict leaves the object as it was."""
    try:
        if who != "edit":
            return stored(apply(POD, live, obj, who, force, T1))
    except Conflict:
        return live
    kept = {**obj, "metadata": {**obj["metadata"], "uid": "u"}}
    return stored(track_update(POD, live, kept, who, T1, ""))


def union_of(obj: Json, but: str = "") -> FieldSet:
    found = FieldSet()
    for entry in obj["metadata"].get("managedFields", ()):
        if entry["manager"] != but:
            found = found | from_json(entry["fieldsV1"])
    return found


@settings(max_examples=200, deadline=None)
@given(st.lists(WRITES, min_size=1, max_size=5))
def test_after_any_history_every_field_has_an_owner_and_every_owner_a_field(
    history: list[tuple[str, Json, bool]],
) -> None:
    live: Json | None = None
    for who, obj, force in history:
        live = write(live, who, obj, force)
    if live is None or "managedFields" not in live["metadata"]:
        return
    there = fields_of(without_empty(without_managers(live)), schema_of(POD)) - NEVER
    assert list((there - union_of(live)).paths()) == []
    places = compare({}, without_managers(live), schema_of(POD)).added
    assert list((union_of(live) - places).paths()) == []


def without_empty(value: Any) -> Any:
    """Without what an update emptied: who took the last member out of a map does not own the map."""
    if isinstance(value, dict):
        inner = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ({}, [])}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=200, deadline=None)
@given(st.lists(WRITES, max_size=4), OBJECTS, st.booleans())
def test_an_apply_repeated_is_an_apply(history: list[tuple[str, Json, bool]], obj: Json, force: bool) -> None:
    live: Json | None = None
    for write_ in history:
        live = write(live, *write_)
    try:
        once = stored(apply(POD, live, obj, "me", force, T2))
    except Conflict:
        return
    assert apply(POD, once, obj, "me", False, T3) is once


@settings(max_examples=200, deadline=None)
@given(st.lists(WRITES, max_size=4), OBJECTS)
def test_nothing_of_others_is_changed_without_force(history: list[tuple[str, Json, bool]], obj: Json) -> None:
    """But for what they put into an item that was another's alone, and goes."""
    live: Json | None = None
    for write_ in history:
        live = write(live, *write_)
    if live is None or "managedFields" not in live["metadata"]:
        return
    others = union_of(live, but="one")
    try:
        after = apply(POD, live, obj, "one", False, T2)
    except Conflict:
        return
    for path in others.paths():
        before = value_at(live, path)
        if value_at(after, path) != before and not isinstance(before, dict | list):
            parent = path.rpartition("]")[0] + "]"
            assert parent.startswith("."), path
            assert value_at(after, parent) is None, path
            assert parent not in set(others.paths()), path


def value_at(obj: Any, path: str) -> Any:
    """The value behind a readable path of this test's objects; None where there is none."""
    rest = path
    while rest:
        if rest.startswith("["):
            key, _, rest = rest[1:].partition("]")
            name = orjson.loads(key.partition("=")[2])
            matches = [item for item in obj or () if item == name or (isinstance(item, dict) and item["name"] == name)]
            obj = matches[0] if matches else None
        else:
            name = rest[1:].replace("[", ".[").split(".")[0]
            rest = rest[1 + len(name) :]
            obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), VALUES), st.dictionaries(st.sampled_from("wxyz"), VALUES))
def test_two_appliers_of_different_fields_come_to_the_same_in_either_order(one: Json, two: Json) -> None:
    results = []
    for first, second in ((("one", one), ("two", two)), (("two", two), ("one", one))):
        live = stored(apply(CONFIG_MAP, None, config_map(**first[1]), first[0], False, T1))
        live = stored(apply(CONFIG_MAP, live, config_map(**second[1]), second[0], False, T1))
        results.append((live["data"], owners(live)))
    assert results[0] == results[1]
