from __future__ import annotations

from core.resources.daemon_sets import DAEMON_SET, WITHOUT_EFFECT
from core.resources.meta import AdmissionContext, Json


def daemon_set(**spec: object) -> Json:
    template = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": {"containers": [{"name": "agent", "image": "agent:1"}]},
    }
    whole = {"selector": {"matchLabels": {"app": "agent"}}, "template": template, **spec}
    obj: Json = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": whole}
    DAEMON_SET.default(obj, AdmissionContext())
    return obj


def test_it_is_kept_and_says_that_nothing_runs_it() -> None:
    obj = daemon_set(updateStrategy={"type": "RollingUpdate"})
    assert not DAEMON_SET.validate(obj, AdmissionContext())
    assert DAEMON_SET.warn(obj, AdmissionContext()) == (WITHOUT_EFFECT,)
    assert not DAEMON_SET.warn(obj, AdmissionContext(old=obj))
    DAEMON_SET.parse(obj)


def test_what_no_pod_could_be_made_from_is_refused() -> None:
    wrong = daemon_set(selector={}, template={"spec": {"containers": []}})
    assert [error.path for error in DAEMON_SET.validate(wrong, AdmissionContext())] == [
        "spec.selector",
        "spec.template.spec.containers",
    ]
