"""Events on a whole platform that is killed, on a full disk, and with subscribers that stop, hang up and are not to be
called.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_failing_platform import kill, platform_on, processes_with, refuses, wait_until
from tests.support.platform import running_platform
from tests.support.user import Reply, User, condition, make_service

pytestmark = pytest.mark.usefixtures("nothing_left_running")

COUNTING = (sys.executable, "-S", str(Path(__file__).parents[1] / "support/counting.py"))
EVENTING = "apis/eventing.knative.dev/v1/namespaces/default"
INGRESS = "broker-ingress.localhost"
EVENT = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "order", "ce-id": "1"}
KILLS = 20
IN_FLIGHT = 100  # of one Trigger, where it says nothing
SEED = 20260802


def counting(name: str, book: Path, **env: str) -> dict[str, Any]:
    """A function that is always there and writes down what it gets."""
    warm = {"min-scale": "1", "max-scale": "1"}
    return make_service(name, COUNTING, annotations=warm, env={"BOOK": str(book), **env})


def make_broker(user: User, name: str = "main", annotations: Mapping[str, str] | None = None, **spec: Any) -> None:
    metadata = {"name": name, "annotations": dict(annotations or {})}
    user.create({"metadata": metadata, "spec": spec}, f"{EVENTING}/brokers")
    user.until(f"broker {name} is ready", lambda: ready(user, f"{EVENTING}/brokers/{name}") == "True")


def make_trigger(user: User, name: str, type: str, *, uri: str = "", broker: str = "main", **spec: Any) -> str:
    """To the function of its name, or to a URI. Its path in the API."""
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}
    subscriber: dict[str, Any] = {"uri": uri} if uri else {"ref": service}
    wanted = {"filters": [{"exact": {"type": type}}], "broker": broker, "subscriber": subscriber, **spec}
    user.create({"metadata": {"name": name}, "spec": wanted}, f"{EVENTING}/triggers")
    path = f"{EVENTING}/triggers/{name}"
    user.until(f"trigger {name} is ready", lambda: ready(user, path) == "True")
    return path


def ready(user: User, path: str) -> str:
    return str(condition(user.get(path)).get("status"))


def post(user: User, id: str, type: str = "order", body: bytes = b"{}", broker: str = "main") -> Reply:
    headers = {**EVENT, "ce-id": id, "ce-type": type, "Content-Type": "application/json"}
    return user.call(INGRESS, f"/default/{broker}", "POST", body, headers)


def got(book: Path) -> Counter[str]:
    """How often each event came; what was written by halves is not whole, and does not count."""
    text = book.read_text() if book.exists() else ""
    return Counter(line.partition("\t")[0] for line in text.split("\n")[:-1])


def told(letters: Path) -> list[tuple[str, str, str]]:
    """Of each dead letter its id, its code, and what was said."""
    rows = [line.split("\t") for line in letters.read_text().splitlines()]
    return [(id, code, base64.b64decode(said).decode()) for id, code, said in rows]


class Producer(threading.Thread):
    """Posts until it is told to stop, or nobody answers; remembers what was accepted."""

    def __init__(self, port: int, numbers: Iterator[int], type: str) -> None:
        super().__init__()
        self.accepted: list[str] = []
        self.offered = 0
        self._port, self._numbers, self._type = port, numbers, type

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            for number in self._numbers:
                id = f"{self._type}-{number}"
                headers = {**EVENT, "Host": INGRESS, "ce-id": id, "ce-type": self._type}
                self.offered += 1
                connection.request("POST", "/default/main", b"x" * 200, headers)
                response = connection.getresponse()
                response.read()
                assert response.status in (202, 503), response.status
                if response.status == 202:
                    self.accepted.append(id)
        except (OSError, http.client.HTTPException):
            return


@pytest.mark.timeout(300)
def test_killed_twenty_times_under_load_everything_accepted_arrives(tmp_path: Path) -> None:
    """Each 202 at least once, and the reply to it; nobody gets what was not sent."""
    chance = random.Random(SEED)
    orders, asks, answers = (tmp_path / f"{name}.book" for name in ("orders", "asks", "answers"))
    platform = platform_on(tmp_path)
    port = int(platform.running.gateway.rpartition(":")[2])
    user = User(platform)
    for service in (counting("orders", orders), counting("asks", asks, REPLY="answer"), counting("answers", answers)):
        user.create(service)
    make_broker(user, delivery={"retry": 20, "backoffPolicy": "linear", "backoffDelay": "PT0.2S"})
    for name in ("orders", "asks", "answers"):
        user.until_ready(name)
        make_trigger(user, name, name.removesuffix("s"))
    numbers = itertools.count()
    accepted: list[str] = []
    offered = 0
    for _ in range(KILLS):
        producers = [Producer(port, numbers, type) for type in ("order", "ask", "order")]
        for producer in producers:
            producer.start()
        time.sleep(chance.uniform(0.05, 0.5))  # the moment of the fault
        kill(platform)
        for producer in producers:
            producer.join()
            accepted += producer.accepted
            offered += producer.offered
        platform = platform_on(tmp_path, port)
    due = {
        orders: {id for id in accepted if id.startswith("order")},
        asks: {id for id in accepted if id.startswith("ask")},
        answers: {f"reply-to-{id}" for id in accepted if id.startswith("ask")},
    }
    assert all(len(ids) > 5 * KILLS for ids in due.values()), {book.name: len(ids) for book, ids in due.items()}
    user = User(platform)
    try:
        user.until("all of it is there", lambda: all(ids <= got(book).keys() for book, ids in due.items()), 60)
    finally:
        missing = {book.name: len(ids - got(book).keys()) for book, ids in due.items()}
        print(f"{len(accepted)} of {offered} accepted, missing {missing}")
    for book, ids in due.items():
        counts = got(book)
        strangers = counts.keys() - ids
        assert len(strangers) <= 3 * KILLS, "at most one a producer and life was stored without having been answered"
        # Each death repeats what was in flight, or answered in the last moments before it, and nothing else.
        assert max(counts.values()) <= KILLS + 1
        assert counts.total() - len(counts) <= KILLS * 2 * IN_FLIGHT


def test_a_stopped_subscriber_delays_nobody_and_gets_all_of_it_later(tmp_path: Path) -> None:
    stopped, other = tmp_path / "stopped.book", tmp_path / "other.book"
    with running_platform(tmp_path / "data") as platform:
        user = User(platform)
        make_broker(user)
        for name, book in (("stopped", stopped), ("other", other)):
            user.deploy(counting(name, book, MARK=f"{name}-of-{os.getpid()}"))
            make_trigger(user, name, "order")
        assert post(user, "before").status == 202
        user.until("both have it", lambda: got(stopped) and got(other))
        (pid,) = [pid for pid in processes_with(f"stopped-of-{os.getpid()}") if is_python(pid)]
        os.kill(pid, signal.SIGSTOP)
        try:
            ids = [f"during-{number}" for number in range(200)]
            assert [post(user, id).status for id in ids] == [202] * len(ids)
            user.until("the other has all of them", lambda: got(other).keys() >= {*ids}, 10)
            assert got(stopped).keys() == {"before"}
        finally:
            os.kill(pid, signal.SIGCONT)
        user.until("it has all of them", lambda: got(stopped).keys() >= {*ids}, 20)
        assert max(got(other).values()) == 1, "nobody else gets anything twice for it"


def is_python(pid: int) -> bool:
    return "counting.py" in Path(f"/proc/{pid}/cmdline").read_text()


def test_a_subscriber_that_hangs_up_after_the_head(tmp_path: Path) -> None:
    """Its answer is none: tried again as the policy says, then a dead letter that tells of it."""
    book, letters = tmp_path / "half.book", tmp_path / "letters.book"
    with running_platform(tmp_path / "data") as platform:
        user = User(platform)
        user.deploy(counting("half", book, HALF="1"))
        user.deploy(counting("letters", letters))
        sink = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "letters"}}
        delivery = {"retry": 2, "backoffPolicy": "linear", "backoffDelay": "PT0.1S", "deadLetterSink": sink}
        make_broker(user, delivery=delivery)
        make_trigger(user, "half", "order")
        assert post(user, "cut").status == 202
        user.until("the dead letter comes to its sink", lambda: got(letters))
        assert got(book) == {"cut": 3}
        ((id, code, why),) = told(letters)
        assert (id, code) == ("cut", "-1")
        assert "ended in the middle" in why


def test_a_full_disk_is_507_and_never_a_false_202(tmp_path: Path) -> None:
    """RLIMIT_FSIZE in the place of a full disk."""
    book = tmp_path / "orders.book"
    with running_platform(tmp_path / "data") as platform:
        user = User(platform)
        user.deploy(counting("orders", book))
        make_broker(user)
        make_trigger(user, "orders", "order")
        assert post(user, "before").status == 202
        user.until("it is there", lambda: got(book))
        files = (tmp_path / "data").glob("events.db*")
        was = resource.prlimit(platform.running.pid, resource.RLIMIT_FSIZE)
        limit = max(path.stat().st_size for path in files) + 300_000
        resource.prlimit(platform.running.pid, resource.RLIMIT_FSIZE, (limit, was[1]))
        answers = {f"full-{number}": post(user, f"full-{number}", body=b"x" * 50_000) for number in range(60)}
        refused = {id: reply for id, reply in answers.items() if reply.status != 202}
        assert refused, "the disk is full"
        for reply in refused.values():
            assert (reply.status, reply.json["reason"]) == (507, "InsufficientStorage"), reply.text
            assert int(reply.headers["retry-after"]) >= 1
            assert "events.db" in reply.json["detail"]
        resource.prlimit(platform.running.pid, resource.RLIMIT_FSIZE, was)
        user.until("it takes events again", lambda: post(user, "after").status == 202)
        due = {"before", "after"} | answers.keys() - refused.keys()
        user.until("all that was accepted is there", lambda: got(book).keys() >= due)
        assert got(book).keys() == due, "and nothing that was refused"


# --- what is asked for and cannot be


@pytest.mark.parametrize(
    ("method", "path", "fields", "body", "status", "reason", "words"),
    [
        ("POST", "/default/main", {"ce-id": ""}, b"", 400, "InvalidEvent", "id is empty"),
        ("POST", "/default/main", {"ce-x": "%zz"}, b"", 400, "InvalidEvent", "x"),
        ("POST", "/default/main", {"ce-x": "%ff%fe"}, b"", 400, "InvalidEvent", "UTF-8"),
        ("POST", "/default/main", {"ce-specversion": "0.2"}, b"", 400, "InvalidEvent", "specversion is '0.2'"),
        ("POST", "/default/main", {"ce-time": "noon"}, b"", 400, "InvalidEvent", "time is 'noon'"),
        ("POST", "/default/main", {"Content-Type": "application/cloudevents+json"}, b"\xff{", 400, "InvalidEvent", ""),
        (
            "POST",
            "/default/main",
            {"Content-Type": "application/cloudevents+json"},
            b"{}",
            400,
            "InvalidEvent",
            "missing",
        ),
        ("POST", "/default/main", {"Content-Type": "application/cloudevents-batch+json"}, b"[]", 400, "EmptyBatch", ""),
        ("POST", "/default/main", {"Content-Type": "application/cloudevents+avro"}, b"", 415, "UnsupportedFormat", ""),
        ("POST", "/default/nobody", {}, b"", 404, "NotFound", "There is no broker at /default/nobody"),
        ("GET", "/default/main", {}, b"", 405, "MethodNotAllowed", "POST"),
        ("PUT", "/default/main", {}, b"", 405, "MethodNotAllowed", "POST"),
    ],
)
def test_bad_events(
    user: User, method: str, path: str, fields: Mapping[str, str], body: bytes, status: int, reason: str, words: str
) -> None:
    if user.ask("GET", f"{EVENTING}/brokers/main").status == 404:
        make_broker(user)
    reply = user.call(INGRESS, path, method, body, {**EVENT, **fields})
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json
    assert problem["status"] == status
    assert reason in problem.get("reason", "")
    assert words in problem["detail"]


def test_a_producer_that_pushes_ten_megabytes_hears_why_they_are_not_taken(user: User) -> None:
    """It is refused before its body has come; who goes on sending all the same must not lose the answer by that."""
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", user.port, timeout=20)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/default/main", b"x" * 10_000_000, {**EVENT, "Host": INGRESS})
        response = connection.getresponse()
        assert (response.status, response.getheader("content-type")) == (413, "application/problem+json")
        connection.close()


@pytest.mark.parametrize(
    ("spec", "kind", "reason", "words"),
    [
        pytest.param(
            {"filters": [{"cesql": "type = 'a' AND subject == 'x'"}]},
            "SubscriptionReady", "InvalidFilter", "spec.filters[0].cesql: ",
            id="a filter that does not compile",
        ),
        pytest.param(
            {"subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "nobody"}}},
            "SubscriberResolved", "Unable to get the Subscriber's URI", "Service default/nobody does not exist",
            id="a sink that leads to nothing",
        ),
        pytest.param(
            {"subscriber": {"ref": {"apiVersion": "v1", "kind": "Secret", "name": "x"}}},
            "SubscriberResolved", "Unable to get the Subscriber's URI", "Secret default/x",
            id="a sink that takes no events",
        ),
        pytest.param(
            {"broker": "nowhere"}, "BrokerReady", "BrokerDoesNotExist", "nowhere", id="no broker"
        ),
    ],
)  # fmt: skip
def test_triggers_that_cannot_be(user: User, spec: Mapping[str, Any], kind: str, reason: str, words: str) -> None:
    if user.ask("GET", f"{EVENTING}/brokers/main").status == 404:
        make_broker(user)
    name = f"bad-{abs(hash(str(spec)))}"
    user.create(
        {"metadata": {"name": name}, "spec": {"broker": "main", "subscriber": {"uri": "http://a.example/"}, **spec}},
        f"{EVENTING}/triggers",
    )
    path = f"{EVENTING}/triggers/{name}"
    user.until("it is not ready", lambda: ready(user, path) == "False")
    found = condition(user.get(path), kind)
    assert (found["status"], found["reason"]) == ("False", reason)
    assert words in found["message"]
    if reason == "InvalidFilter":
        assert "(column 25)" in found["message"]


SINKS = "api/v1/namespaces/knative-eventing/configmaps/config-sinks"


def test_addresses_of_this_machine_and_private_networks_are_not_called(tmp_path: Path, user: User) -> None:
    """SSRF: the reason stands in the dead letter. An operator may allow some."""
    inner, letters = tmp_path / "inner.book", tmp_path / "letters.book"
    name = "letters-of-sinks"
    user.deploy(counting(name, letters))
    sink = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}}
    make_broker(user, "guarded", delivery={"retry": 0, "deadLetterSink": sink})
    with outside_counter(inner) as port:
        uris = {
            "cloud": "http://169.254.169.254/latest/meta-data",
            "loopback": f"http://127.0.0.1:{port}/",
            "mapped": f"http://[::ffff:127.0.0.1]:{port}/",
            "number": f"http://2130706433:{port}/",
            "name": f"http://localhost:{port}/",
            "private": f"http://10.0.0.1:{port}/",
        }
        for name, uri in uris.items():
            make_trigger(user, f"outside-{name}", name, uri=uri, broker="guarded")
            assert post(user, name, name, broker="guarded").status == 202
        user.until("all are dead letters", lambda: got(letters).keys() >= uris.keys(), 30)
        for id, code, why in told(letters):
            assert code == "-1"
            # Another spelling of 127.0.0.1 is no URL at all.
            assert ("canonical" if id == "number" else "allowed-sinks") in why, f"{id}: {why}"
        assert not got(inner)
        user.patch(SINKS, {"data": {"allowed-sinks": "127.0.0.0/8"}})
        user.until("it is allowed", lambda: post(user, "loopback", "loopback", broker="guarded") and got(inner))
        user.patch(SINKS, {"data": {"allowed-sinks": ""}})


@contextmanager
def outside_counter(book: Path) -> Iterator[int]:
    """A counting function that is none of the platform's; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with subprocess.Popen(COUNTING, env={**os.environ, "PORT": str(port), "BOOK": str(book)}) as process:
        try:
            wait_until(lambda: not refuses(port), "it listens")
            yield port
        finally:
            process.kill()
