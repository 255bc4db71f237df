"""JobSinks: events in, Jobs out, their end by GET; what is refused; nothing twice."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from core.errors import StoreFull
from core.inside import Call, Reply
from core.resources.batch import JOB
from core.resources.core_v1 import SECRET
from core.resources.kinds import KINDS
from core.resources.meta import Json
from core.resources.sinks import JOB_SINK
from core.store.memory import MemoryStore
from eventing.sinks import job as module
from eventing.sinks.job import HOST
from tests.eventing.controllers.test_broker_and_trigger import run
from tests.support.clock import FakeClock
from tests.support.eventing import Eventing, eventing
from tests.support.subscribers import event

POD: Json = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "cat:1"}]}
SPEC: Json = {"job": {"spec": {"template": {"spec": POD}}}}


async def ask(
    under: Eventing, target: str, method: bytes = b"GET", body: bytes = b"", *fields: tuple[bytes, bytes]
) -> Reply:
    answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
    call = Call(method, HOST.encode(), target.encode(), tuple(fields), body)
    under.sites.places[HOST].site.answer(call, answer.set_result)
    return await answer


async def end(under: Eventing, name: str, kind: str) -> None:
    conditions = [{"type": kind, "status": "True", "reason": "Why", "message": "because"}]
    await under.store.modify(JOB, name, "default", lambda now: {**now, "status": {"conditions": conditions}}, "status")


def test_an_event_becomes_a_job_and_its_end_can_be_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(JOB_SINK, "logger", SPEC)
            sink = await under.ready(JOB_SINK, "logger")
            assert sink["status"]["address"]["url"] == f"http://{HOST}/default/logger"
            assert sink["status"]["job"]["selector"] == "sinks.knative.dev/job-sink-name=logger"
            reply = await under.post(event("1", data="x"), "/default/logger", HOST)
            assert reply.status == 202
            location = (reply.value(b"location") or b"").decode()
            assert location == "/namespaces/default/name/logger/sources/%2Ftest/ids/1"
            (job,) = (await under.store.list(JOB)).items
            assert [each["name"] for each in job["spec"]["template"]["spec"]["containers"][0]["env"]] == [
                "KNATIVE_EXECUTION_MODE"
            ]
            (secret,) = (await under.store.list(SECRET)).items
            assert json.loads(base64.b64decode(secret["data"]["event"]))["id"] == "1"
            assert [each["uid"] for each in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
            running = await ask(under, location)
            assert (running.status, running.value(b"location")) == (202, location.encode())
            await end(under, job["metadata"]["name"], "Complete")
            assert (await ask(under, location)).status == 200
            await end(under, job["metadata"]["name"], "Failed")
            failed = await ask(under, location)
            assert failed.status == 400
            assert b"because" in failed.body

    run(main())


def test_an_event_that_is_sent_again_has_its_job_already(tmp_path: Path) -> None:
    async def main() -> None:
        store = MemoryStore(KINDS, FakeClock())
        await store.open()
        async with eventing(tmp_path, store) as under:
            await under.apply(JOB_SINK, "logger", SPEC)
            await under.ready(JOB_SINK, "logger")
            posts = [under.post(event("1"), "/default/logger", HOST) for _ in range(5)]
            replies = await asyncio.gather(*posts, under.post(event("2"), "/default/logger", HOST))
            assert {reply.status for reply in replies} == {202}
            assert len({reply.value(b"location") for reply in replies}) == 2
        async with eventing(tmp_path, store) as under:  # its door is open before its controller has looked
            again = await under.post(event("1"), "/default/logger", HOST)
            assert (again.status, again.value(b"location")) == (202, replies[0].value(b"location"))
            assert len((await store.list(JOB)).items) == 2

    run(main())


def test_a_crash_between_secret_and_job_is_mended_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(JOB_SINK, "logger", SPEC)
            await under.ready(JOB_SINK, "logger")
            with monkeypatch.context() as broken:
                broken.setattr(module, "make_job", full)
                refused = await under.post(event("1"), "/default/logger", HOST)
                assert refused.status == 507
                assert refused.value(b"retry-after")
            assert (await under.post(event("1"), "/default/logger", HOST)).status == 202
            (job,), (secret,) = (await under.store.list(JOB)).items, (await under.store.list(SECRET)).items
            assert job["metadata"]["name"] == secret["metadata"]["name"]

    run(main())


def full(*parts: object) -> Json:
    raise StoreFull("no space")


def test_a_batch_becomes_a_job_each(tmp_path: Path) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(JOB_SINK, "logger", SPEC)
            await under.ready(JOB_SINK, "logger")
            events = [{"specversion": "1.0", "id": str(n), "source": "/s", "type": "t"} for n in range(3)]
            kind = (b"content-type", b"application/cloudevents-batch+json")
            reply = await ask(under, "/default/logger", b"POST", json.dumps(events).encode(), kind)
            assert (reply.status, reply.value(b"location")) == (202, None)
            assert len((await under.store.list(JOB)).items) == 3

    run(main())


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with eventing(tmp_path) as under:
            await under.apply(JOB_SINK, "logger", SPEC)
            await under.ready(JOB_SINK, "logger")
            assert (await under.post(event("1"), "/default/nobody", HOST)).status == 404
            assert (await ask(under, "/default/logger", b"POST", b"{}")).status == 400
            assert (await ask(under, "/default/logger")).status == 404
            assert (await ask(under, "/namespaces/default/name/logger/sources/s/ids/9")).status == 404
            assert (await ask(under, "/default/logger", b"DELETE")).status == 405
            monkeypatch.setattr(module, "STORING_MAX", 0)
            busy = await under.post(event("1"), "/default/logger", HOST)
            assert (busy.status, busy.value(b"retry-after")) == (429, b"1")
            assert (await ask(under, "/namespaces/default/name/logger/sources/s/ids/9")).status == 429
            await under.store.delete(JOB_SINK, "logger", "default")

    run(main())
