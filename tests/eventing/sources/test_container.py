"""ContainerSources over a store: the Deployment and the SinkBinding that they make, and what their statuses say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.resources.meta import AdmissionContext, Json
from core.resources.sources import CONTAINER_SOURCE, SINK_BINDING
from core.resources.workloads import DEPLOYMENT
from eventing.sources.container import make_binding, make_deployment
from tests.eventing.controllers.test_broker_and_trigger import FN, condition, make_function, run
from tests.support.eventing import Eventing, eventing, until

URL = "http://fn.default.svc.cluster.local"


def spec(**container: Any) -> Json:
    main = {"name": "main", "image": "x:1", "args": ["--period=1"], "env": [{"name": "A", "value": "1"}], **container}
    return {"sink": FN, "template": {"metadata": {"labels": {"mine": "yes"}}, "spec": {"containers": [main]}}}


async def deployed(under: Eventing) -> Json | None:
    found = [obj for obj in (await under.store.list(DEPLOYMENT)).items if obj["metadata"]["name"] == "s-deployment"]
    return found[0] if found else None


async def available(under: Eventing) -> None:
    said = [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "."}]
    await under.store.modify(
        DEPLOYMENT, "s-deployment", "default", lambda now: {**now, "status": {"conditions": said}}, "status"
    )


def test_its_containers_run_and_are_told_where_to_send(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            await under.apply(CONTAINER_SOURCE, "s", {**spec(), "ceOverrides": {"extensions": {"team": "blue"}}})

            async def there() -> Json | None:
                return await deployed(under)

            made = await until(there, "nothing is deployed")
            container = made["spec"]["template"]["spec"]["containers"][0]
            assert container["args"] == ["--period=1"]
            assert {each["name"]: each["value"] for each in container["env"]} == {
                "A": "1", "K_SINK": URL, "K_CE_OVERRIDES": '{"extensions":{"team":"blue"}}',
            }  # fmt: skip
            assert made["metadata"]["generation"] == 1, "told from the beginning: nothing is started twice"
            assert made["spec"]["template"]["metadata"]["labels"]["mine"] == "yes"
            assert DEPLOYMENT.validate(made, AdmissionContext()) == []
            await available(under)
            ready = await under.ready(CONTAINER_SOURCE, "s")
            assert ready["status"]["sinkUri"] == URL
            binding = await under.store.get(SINK_BINDING, "s-sinkbinding", "default")
            assert binding["metadata"]["ownerReferences"][0]["kind"] == "ContainerSource"
            await under.store.modify(
                DEPLOYMENT, "s-deployment", "default", lambda now: {**now, "spec": {**now["spec"], "replicas": 3}}
            )
            await under.apply(CONTAINER_SOURCE, "s", spec(args=["--period=2"]))

            async def changed() -> Json | None:
                obj = await deployed(under)
                args = obj["spec"]["template"]["spec"]["containers"][0]["args"] if obj else []
                return obj if args == ["--period=2"] else None

            after = await until(changed, "the Deployment stays as it was")
            assert after["spec"]["replicas"] == 3

    run(main())


def test_nothing_runs_before_there_is_a_sink_and_what_runs_outlives_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(CONTAINER_SOURCE, "s", spec())
            waiting = await under.ready(CONTAINER_SOURCE, "s", "False")
            assert condition(waiting, "SinkBindingReady") == ("False", "NotFound")
            assert condition(waiting, "ReceiveAdapterReady") == ("Unknown", "NoSink")
            assert await deployed(under) is None
            await make_function(under)

            async def there() -> Json | None:
                return await deployed(under)

            await until(there, "nothing is deployed")
            await available(under)
            await under.ready(CONTAINER_SOURCE, "s")
            missing = {"ref": {**FN["ref"], "name": "nobody"}}
            await under.apply(CONTAINER_SOURCE, "s", {**spec(), "sink": missing})
            await under.ready(CONTAINER_SOURCE, "s", "False")
            made = await deployed(under)
            assert made is not None
            assert {"name": "K_SINK", "value": URL} in made["spec"]["template"]["spec"]["containers"][0]["env"]

    run(main())


def test_another_deployment_of_that_name_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await make_function(under)
            mine = {"metadata": {"name": "s-deployment", "namespace": "default"}, "spec": make_spec()}
            await under.store.create(DEPLOYMENT, mine)
            await under.apply(CONTAINER_SOURCE, "s", spec())
            refused = await under.ready(CONTAINER_SOURCE, "s", "False")
            assert condition(refused, "ReceiveAdapterReady") == ("False", "NotOwned")

    run(main())


def make_spec() -> Json:
    return {"template": {"spec": {"containers": [{"name": "main", "image": "mine:1"}]}}}


def test_names_are_cut_where_they_are_too_long() -> None:
    metadata = {"name": "s" * 63, "namespace": "default", "uid": "u"}
    source = {"metadata": metadata, "spec": spec()}
    names = {each["metadata"]["name"] for each in (make_binding(source), make_deployment(source))}
    assert {len(name) for name in names} <= set(range(64))
    assert make_binding(source)["spec"]["subject"]["name"] in names
