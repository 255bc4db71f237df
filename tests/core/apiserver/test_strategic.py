"""Strategic merge patch: which lists merge and how, directive by directive."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.apiserver.patch import merge_patch
from core.apiserver.strategic import strategic_merge
from core.errors import BadRequest
from core.resources.core_services import CORE_SERVICE
from core.resources.meta import Json
from core.resources.pods import POD
from core.resources.workloads import DEPLOYMENT


def c(name: str, **fields: Any) -> Json:
    return {"name": name, **fields}


def e(name: str, value: str) -> Json:
    return {"name": name, "value": value}


CASES: list[tuple[str, Json, Json, Json]] = [
    ("scalars replace", {"hostname": "a"}, {"hostname": "b"}, {"hostname": "b"}),
    ("null removes", {"hostname": "a", "nodeName": "n"}, {"hostname": None}, {"nodeName": "n"}),
    ("null of nothing", {}, {"hostname": None}, {}),
    (
        "containers merge by name",
        {"containers": [c("a", image="1"), c("b", image="1")]},
        {"containers": [c("b", image="2")]},
        {"containers": [c("a", image="1"), c("b", image="2")]},
    ),
    (
        "new items come first, as upstream",
        {"containers": [c("a")]},
        {"containers": [c("b")]},
        {"containers": [c("b"), c("a")]},
    ),
    (
        "the patch's order wins among its own",
        {"containers": [c("a"), c("b"), c("x")]},
        {"containers": [c("b"), c("a")]},
        {"containers": [c("b"), c("a"), c("x")]},
    ),
    (
        "inner lists merge too",
        {"containers": [c("a", env=[e("A", "1"), e("B", "2")])]},
        {"containers": [c("a", env=[e("B", "3"), e("C", "4")])]},
        {"containers": [c("a", env=[e("A", "1"), e("B", "3"), e("C", "4")])]},
    ),
    (
        "ports merge by containerPort",
        {"containers": [c("a", ports=[{"containerPort": 80, "protocol": "TCP"}])]},
        {"containers": [c("a", ports=[{"containerPort": 80, "name": "http"}])]},
        {"containers": [c("a", ports=[{"containerPort": 80, "protocol": "TCP", "name": "http"}])]},
    ),
    (
        "other lists are replaced",
        {"containers": [c("a", command=["x", "y"])]},
        {"containers": [c("a", command=["z"])]},
        {"containers": [c("a", command=["z"])]},
    ),
    (
        "an item is deleted",
        {"containers": [c("a"), c("b")]},
        {"containers": [{"name": "a", "$patch": "delete"}]},
        {"containers": [c("b")]},
    ),
    (
        "deleting what is not there",
        {"containers": [c("b")]},
        {"containers": [{"name": "a", "$patch": "delete"}]},
        {"containers": [c("b")]},
    ),
    (
        "a list is replaced",
        {"containers": [c("a"), c("b", image="1")]},
        {"containers": [{"$patch": "replace"}, c("b")]},
        {"containers": [c("b")]},
    ),
    (
        "a map is replaced",
        {"securityContext": {"runAsUser": 1, "fsGroup": 2}},
        {"securityContext": {"$patch": "replace", "runAsUser": 3}},
        {"securityContext": {"runAsUser": 3}},
    ),
    (
        "a map is deleted",
        {"securityContext": {"runAsUser": 1}},
        {"securityContext": {"$patch": "delete"}},
        {"securityContext": {}},
    ),
    (
        "a map is merged, said aloud",
        {"securityContext": {"runAsUser": 1}},
        {"securityContext": {"$patch": "merge", "fsGroup": 2}},
        {"securityContext": {"runAsUser": 1, "fsGroup": 2}},
    ),
    (
        "only some keys are kept: a volume changes its source",
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
    ),
    (
        "an order is set",
        {"containers": [c("a"), c("b"), c("c")]},
        {"$setElementOrder/containers": [c("c"), c("a"), c("b")], "containers": [c("a", image="1")]},
        {"containers": [c("c"), c("a", image="1"), c("b")]},
    ),
    (
        "an order without changes",
        {"containers": [c("a"), c("b")]},
        {"$setElementOrder/containers": [c("b"), c("a")]},
        {"containers": [c("b"), c("a")]},
    ),
    (
        "what the order does not name keeps its neighbors",
        {"containers": [c("x"), c("a"), c("b")]},
        {"$setElementOrder/containers": [c("a"), c("n"), c("b")], "containers": [c("n")]},
        {"containers": [c("x"), c("a"), c("n"), c("b")]},
    ),
    (
        "an order with a deletion",
        {"containers": [c("a"), c("b")]},
        {"$setElementOrder/containers": [c("b")], "containers": [{"name": "a", "$patch": "delete"}]},
        {"containers": [c("b")]},
    ),
    ("an order of nothing", {}, {"$setElementOrder/containers": [c("a")]}, {}),
    (
        "directives on what is not there leave nothing behind",
        {},
        {
            "securityContext": {"$patch": "replace", "runAsUser": 1, "fsGroup": None},
            "containers": [c("a", env=[{"name": "A", "$patch": "delete"}], command=None)],
        },
        {"securityContext": {"runAsUser": 1}, "containers": [c("a", env=[])]},
    ),
    (
        "undeclared maps merge",
        {"affinity": {"a": {"b": 1}}},
        {"affinity": {"a": {"c": 2}}},
        {"affinity": {"a": {"b": 1, "c": 2}}},
    ),
    ("another type takes its place", {"hostname": "a"}, {"hostname": {"x": 1}}, {"hostname": {"x": 1}}),
]


@pytest.mark.parametrize(("doc", "patch", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_pod_is_patched(doc: Json, patch: Json, expected: Json) -> None:
    document, change = {"spec": doc}, {"spec": patch}
    before = copy.deepcopy((document, change))
    assert strategic_merge(POD, document, change) == {"spec": expected}
    assert (document, change) == before


def test_sets_of_scalars_merge_and_lose_members() -> None:
    doc = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategic_merge(POD, doc, {"metadata": {"finalizers": ["b", "c"]}})["metadata"]["finalizers"] == [
        "a",
        "b",
        "c",
    ]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"], "$setElementOrder/finalizers": ["b"]}}
    assert strategic_merge(POD, doc, patch) == {"metadata": {"finalizers": ["b"]}}


def test_the_strategy_of_a_deployment_changes_with_retain_keys() -> None:
    doc = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(DEPLOYMENT, doc, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_the_ports_of_a_service_merge_by_port() -> None:
    doc = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 9090}, {"port": 81, "name": "b"}]}}
    assert strategic_merge(CORE_SERVICE, doc, patch)["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP", "targetPort": 9090},
        {"port": 81, "name": "b"},
    ]


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"containers": [{"image": "x"}]}, "merge key: name"),
        ({"containers": [{"name": {}}]}, "merge key: name"),
        ({"containers": [{"$patch": "delete"}]}, "merge key: name"),
        ({"containers": [{"name": "a", "$patch": "grow"}]}, "unknown patch type"),
        ({"containers": [{"name": "a", "$patch": "merge"}]}, "cannot yet be specified"),
        ({"securityContext": {"$patch": "grow"}}, "unknown patch type"),
        ({"containers": [{"name": "a"}, "b"]}, "not identical"),
        ({"containers": [["a"]]}, "not identical"),
        ({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}, "out of place"),
        (
            {
                "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                "containers": [{"name": "b"}, {"name": "a"}],
            },
            "out of place",
        ),
        ({"$setElementOrder/containers": {}}, "must be a list"),
        ({"volumes": [{"name": "v", "$retainKeys": ["name"], "secret": {}}]}, "does not name"),
        ({"volumes": [{"name": "v", "$retainKeys": "name"}]}, "must be a list"),
    ],
)
def test_patches_that_make_no_sense(patch: Json, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        strategic_merge(POD, {"spec": {"containers": [c("a")], "volumes": [{"name": "v"}]}}, {"spec": patch})


names = st.sampled_from("abc")
specs = st.fixed_dictionaries(
    {"containers": st.lists(st.builds(c, names, image=names), unique_by=lambda item: item["name"], max_size=3)},
    optional={"hostname": names, "nodeSelector": st.dictionaries(names, names)},
)


@given(specs, specs)
def test_a_patch_applied_twice_is_applied_once(doc: Json, patch: Json) -> None:
    once = strategic_merge(POD, {"spec": doc}, {"spec": patch})
    assert strategic_merge(POD, once, {"spec": patch}) == once


@given(specs, specs)
def test_every_item_of_both_survives_and_the_patch_wins(doc: Json, patch: Json) -> None:
    merged = strategic_merge(POD, {"spec": doc}, {"spec": patch})["spec"]["containers"]
    images = {item["name"]: item["image"] for item in [*doc["containers"], *patch["containers"]]}
    assert {item["name"]: item["image"] for item in merged} == images
    assert len(merged) == len(images)


@given(specs)
def test_without_lists_it_is_a_merge_patch(doc: Json) -> None:
    patch = {"spec": {"hostname": None, "nodeSelector": {"a": "z", "b": None}}}
    assert strategic_merge(POD, {"spec": doc}, patch) == merge_patch({"spec": doc}, patch)


wild = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from(["a", "delete", "replace", "merge"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "env",
                    "containers",
                    "ports",
                    "$patch",
                    "$retainKeys",
                    "$setElementOrder/env",
                    "$deleteFromPrimitiveList/env",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(wild, wild)
def test_any_patch_is_applied_or_refused(doc: Any, patch: Any) -> None:
    try:
        strategic_merge(POD, {"spec": doc}, {"spec": patch})
    except BadRequest as error:
        assert error.message  # noqa: PT017 - the refusal is the other good outcome
