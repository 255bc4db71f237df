"""SinkBindings over a store: their subjects' environment, through edits, deletion and restarts; their statuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import NotFound
from core.resources.batch import JOB
from core.resources.conditions import find_condition
from core.resources.meta import Json, Kind
from core.resources.sources import SINK_BINDING
from core.resources.workloads import DEPLOYMENT
from tests.eventing.controllers.test_broker_and_trigger import FN, condition, make_function, run
from tests.support.eventing import Eventing, eventing, until

URL = "http://fn.default.svc.cluster.local"
WEB: Json = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
TOLD = [("K_SINK", URL), ("K_CE_OVERRIDES", "")]


def pods(**more: Any) -> Json:
    return {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}}, **more}


async def told(under: Eventing, kind: Kind[Any], name: str) -> list[tuple[str, str]]:
    obj = await under.store.get(kind, name, "default")
    return [(each["name"], each["value"]) for each in obj["spec"]["template"]["spec"]["containers"][0].get("env") or ()]


async def until_told(under: Eventing, kind: Kind[Any], name: str, wanted: list[tuple[str, str]]) -> None:
    async def so() -> bool | None:
        return True if await told(under, kind, name) == wanted else None

    await until(so, f"{kind.kind} {name} is not told {wanted}")


def test_a_subject_is_told_and_told_no_more_when_the_binding_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.store.create(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "default"}, "spec": pods()})
            await under.apply(SINK_BINDING, "b", {"subject": WEB, "sink": FN})
            bound = await under.ready(SINK_BINDING, "b")
            assert bound["status"]["sinkUri"] == URL
            assert bound["metadata"]["finalizers"] == ["sinkbindings.sources.knative.dev"]
            assert await told(under, DEPLOYMENT, "web") == TOLD
            overrides = {"extensions": {"team": "blue"}}
            await under.apply(SINK_BINDING, "b", {"subject": WEB, "sink": FN, "ceOverrides": overrides})
            await until_told(under, DEPLOYMENT, "web", [TOLD[0], ("K_CE_OVERRIDES", '{"extensions":{"team":"blue"}}')])
            store = under.store
        async with eventing(tmp_path, store) as under:  # another life remembers whom it has told
            await under.store.delete(SINK_BINDING, "b", "default")
            await until_told(under, DEPLOYMENT, "web", [])

            async def gone() -> bool | None:
                try:
                    await under.store.get(SINK_BINDING, "b", "default")
                except NotFound:
                    return True
                return None

            await until(gone, "the binding is still there")

    run(main())


def test_subjects_by_labels_also_those_that_come_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            subject = {"apiVersion": "batch/v1", "kind": "Job", "selector": {"matchLabels": {"a": "b"}}}
            await under.apply(SINK_BINDING, "b", {"subject": subject, "sink": FN})
            await under.ready(SINK_BINDING, "b")
            for name, labels in (("in", {"a": "b"}), ("out", {})):
                metadata = {"name": name, "namespace": "default", "labels": labels}
                await under.store.create(JOB, {"metadata": metadata, "spec": pods()})
            await until_told(under, JOB, "in", TOLD)
            assert await told(under, JOB, "out") == []
            assert under.world.bindings.of(JOB, await under.store.get(JOB, "in", "default")) is not None

    run(main())


def test_an_edited_binding_leaves_whom_it_means_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            for name in ("web", "other"):
                metadata = {"name": name, "namespace": "default"}
                await under.store.create(DEPLOYMENT, {"metadata": metadata, "spec": pods()})
            await under.apply(SINK_BINDING, "b", {"subject": WEB, "sink": FN})
            await until_told(under, DEPLOYMENT, "web", TOLD)
            await under.apply(SINK_BINDING, "b", {"subject": {**WEB, "name": "other"}, "sink": FN})
            await until_told(under, DEPLOYMENT, "other", TOLD)
            await until_told(under, DEPLOYMENT, "web", [])

    run(main())


def test_of_two_bindings_the_older_counts_and_the_other_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await make_function(under, "second")
            await under.store.create(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "default"}, "spec": pods()})
            await under.apply(SINK_BINDING, "a", {"subject": WEB, "sink": FN})
            await under.ready(SINK_BINDING, "a")
            other = {"ref": {**FN["ref"], "name": "second"}}
            await under.apply(SINK_BINDING, "b", {"subject": WEB, "sink": other})
            late = await under.ready(SINK_BINDING, "b", "False")
            assert condition(late, "Ready") == ("False", "SubjectBound")
            assert await told(under, DEPLOYMENT, "web") == TOLD
            await under.store.delete(SINK_BINDING, "a", "default")
            await until_told(under, DEPLOYMENT, "web", [("K_SINK", "http://second.default.svc.cluster.local"), TOLD[1]])

    run(main())


def test_what_a_status_says_while_something_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(SINK_BINDING, "b", {"subject": WEB, "sink": FN})
            assert condition(await under.ready(SINK_BINDING, "b", "False"), "SinkProvided") == ("False", "NotFound")
            await make_function(under)

            async def missing() -> Json | None:
                obj = await under.store.get(SINK_BINDING, "b", "default")
                return obj if condition(obj, "Ready") == ("False", "SubjectMissing") else None

            obj = await until(missing, "it does not say what is missing")
            assert "Deployment default/web does not exist" in (find_condition(obj) or {})["message"]
            await under.store.create(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "default"}, "spec": pods()})
            await under.ready(SINK_BINDING, "b")
            stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
            await under.apply(SINK_BINDING, "c", {"subject": stateful, "sink": FN})
            assert condition(await under.ready(SINK_BINDING, "c", "False"), "Ready")[1] == "SubjectUnavailable"

    run(main())
