import pytest

from core.apiserver.negotiation import DISCOVERY_VIEWS, PLAIN, Form, View, choose
from core.errors import NotAcceptable

KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
KUBECTL_DISCOVERY = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("application/json", PLAIN),
        ("application/vnd.kubernetes.protobuf,application/json", PLAIN),
        ("application/vnd.kubernetes.protobuf, */*;q=0.1", PLAIN),
        ("application/yaml", Form(yaml=True)),
        ("application/yaml;q=0.5, application/json", PLAIN),
        (KUBECTL_GET, Form(View.TABLE, "v1")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form(View.TABLE, "v1beta1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", PLAIN),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form(View.METADATA_LIST, "v1")),
        ("application/json;q=nonsense,application/yaml", Form(yaml=True)),
        (KUBECTL_DISCOVERY, PLAIN),
    ],
)
def test_objects(accept: str, form: Form) -> None:
    assert choose(accept) == form


def test_discovery_is_aggregated_in_the_first_version_that_is_asked_for() -> None:
    form = choose(KUBECTL_DISCOVERY, DISCOVERY_VIEWS)
    assert form == Form(View.DISCOVERY, "v2")
    assert form.content_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.mark.parametrize("accept", ["application/vnd.kubernetes.protobuf", "text/html", "application/json;q=0", ",;="])
def test_nothing_fits(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        choose(accept)
