import pytest

from core.apiserver.paths import Target, parse_path


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target("", "v1", "pods")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/default", Target("", "v1", "namespaces", "", "default")),
        ("/api/v1/namespaces/default/status", Target("", "v1", "namespaces", "", "default", "status")),
        ("/api/v1/namespaces/default/finalize", Target("", "v1", "namespaces", "", "default", "finalize")),
        ("/api/v1/namespaces/default/pods/a/log", Target("", "v1", "pods", "default", "a", "log")),
        ("/apis/apps/v1/namespaces/n/deployments", Target("apps", "v1", "deployments", "n")),
        ("/apis/apps/v1/namespaces/n/deployments/d/scale", Target("apps", "v1", "deployments", "n", "d", "scale")),
        ("/apis/apps/v1/namespaces/n/status", Target("apps", "v1", "status", "n")),
        ("/api", None),
        ("/api/v1", None),
        ("/apis/apps/v1", None),
        ("/apis/apps/v1/namespaces/n/deployments/d/scale/more", None),
        ("/apis/apps/v1/namespaces//deployments", None),
        ("/", None),
        ("/healthz", None),
    ],
)
def test_paths(path: str, target: Target | None) -> None:
    assert parse_path(path) == target


def test_the_resource_is_named_as_in_messages() -> None:
    assert Target("apps", "v1", "deployments").resource == "deployments.apps"
    assert Target("", "v1", "pods").resource == "pods"
