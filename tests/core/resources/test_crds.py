"""CustomResourceDefinitions as a view of the kinds (core/resources/crds.py)."""

from __future__ import annotations

from core.resources.crds import BUILT_IN, CUSTOM_RESOURCE_DEFINITION, definitions
from core.resources.kinds import SERVED
from core.resources.meta import AdmissionContext

ALL = {each["metadata"]["name"]: each for each in definitions(SERVED)}


def with_label(label: str) -> set[str]:
    return {name for name, each in ALL.items() if each["metadata"]["labels"].get(label) == "true"}


def test_the_kinds_of_knative_and_keda_have_one_each_and_kubernetes_own_have_none() -> None:
    assert {"services.serving.knative.dev", "brokers.eventing.knative.dev", "scaledobjects.keda.sh"} <= set(ALL)
    assert all(name.endswith((".knative.dev", ".keda.sh")) for name in ALL)
    assert "deployments.apps" not in ALL


def test_what_one_says() -> None:
    definition = ALL["scaledobjects.keda.sh"]
    assert definition["spec"]["names"] == {
        "plural": "scaledobjects",
        "singular": "scaledobject",
        "kind": "ScaledObject",
        "listKind": "ScaledObjectList",
        "shortNames": ["so"],
    }
    assert definition["spec"]["scope"] == "Namespaced"
    assert definition["spec"]["versions"] == [{"name": "v1alpha1", "served": True, "storage": True}]
    assert ALL["clustertriggerauthentications.keda.sh"]["spec"]["scope"] == "Cluster"


def test_one_version_is_stored_and_all_are_served() -> None:
    versions = ALL["eventtypes.eventing.knative.dev"]["spec"]["versions"]
    assert [version["name"] for version in versions if version["storage"]] == ["v1beta3"]
    assert {version["name"] for version in versions} == {"v1beta1", "v1beta2", "v1beta3"}
    assert ALL["eventtypes.eventing.knative.dev"]["status"]["storedVersions"] == ["v1beta3"]
    pings = ALL["pingsources.sources.knative.dev"]["spec"]["versions"]
    assert {version["name"]: version["storage"] for version in pings} == {"v1": True, "v1beta2": False}


def test_kn_finds_sources_and_channels_by_their_labels() -> None:
    assert with_label("duck.knative.dev/source") == {
        "pingsources.sources.knative.dev",
        "containersources.sources.knative.dev",
        "apiserversources.sources.knative.dev",
        "sinkbindings.sources.knative.dev",
        "kafkasources.sources.knative.dev",
        "rabbitmqsources.sources.knative.dev",
    }
    assert {"channels.messaging.knative.dev", "inmemorychannels.messaging.knative.dev"} == with_label(
        "messaging.knative.dev/subscribable"
    )


def test_the_objects_are_as_their_own_kind_is_declared() -> None:
    kind = CUSTOM_RESOURCE_DEFINITION
    for definition in ALL.values():
        assert kind.parse({**definition, "apiVersion": kind.api_version, "kind": kind.kind})


def test_none_can_be_added_and_what_is_written_changes_nothing() -> None:
    kind, old = CUSTOM_RESOURCE_DEFINITION, ALL["scaledobjects.keda.sh"]
    foreign = {"metadata": {"name": "things.example.com"}, "spec": {"group": "example.com"}}
    (error,) = kind.validate(foreign, AdmissionContext())
    assert error.path == "spec"
    written = {**old, "spec": {"group": "keda.sh", "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {}}}]}}
    context = AdmissionContext(old=old)
    kind.default(written, context)
    assert written["spec"] == old["spec"]
    assert not kind.validate(written, context)
    assert kind.warn(written, context) == (BUILT_IN,)
