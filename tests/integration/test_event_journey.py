"""Events on a whole platform, by the real kubectl, the real curl and the command line as it is typed.

Through `pilotlight.cli.events`, `pilotlight.cli.dlq`, `pilotlight.cli.emit`, `pilotlight.cli.sinks` and kn's commands:
`pilotlight.cli.kn.changing`, `pilotlight.cli.kn.broker`, `pilotlight.cli.kn.trigger`, `pilotlight.cli.kn.channel`,
`pilotlight.cli.kn.subscription`, `pilotlight.cli.kn.eventtype`, `pilotlight.cli.kn.source` and
`pilotlight.cli.kn.eventing_options`.
"""

from __future__ import annotations

import http.client
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from pilotlight.cli.app import run
from tests.support.platform import Platform
from tests.support.user import User, make_service

pytestmark = pytest.mark.kubectl
SHOP = Path(__file__).parents[2] / "examples/shop"
COUNTING = (sys.executable, "-S", str(Path(__file__).parents[1] / "support/counting.py"))
ORDER = {"specversion": "1.0", "type": "com.example.order", "source": "/till"}


class Hands:
    """A user's shell."""

    def __init__(self, platform: Platform) -> None:
        self._environment = platform.environment
        self._port = platform.running.gateway.rpartition(":")[2]

    def type(self, *words: str, stdin: str = "") -> str:
        """Standard output of a program that must not fail."""
        ended = subprocess.run(
            words, input=stdin, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, f"{words}: {ended.stderr or ended.stdout}"
        return ended.stdout

    def pilotlight(self, *words: str, code: int = 0) -> str:
        """Standard output, and standard error where the command is to fail; in this process, to save its start."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            got = run(("--data-dir", self._environment["PILOTLIGHT_DATA_DIR"], *words))
        assert got == code, f"{words} ended with {got}: {err.getvalue() or out.getvalue()}"
        return out.getvalue() if code == 0 else out.getvalue() + err.getvalue()

    def json(self, *words: str) -> Any:
        return json.loads(self.pilotlight(*words, "--json"))

    def post(self, broker: str, body: str, **headers: str) -> int:
        """The status that curl got."""
        fields = [word for name, value in headers.items() for word in ("-H", f"{name.replace('_', '-')}: {value}")]
        url = f"http://broker-ingress.localhost:{self._port}/default/{broker}"
        return int(self.type("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url, "-d", body, *fields))

    @contextmanager
    def tail(self, *words: str) -> Iterator[list[Any]]:
        """Happenings while the block runs: filled in at its end, when `pilotlight events tail` is interrupted."""
        command = [sys.executable, "-P", "-m", "pilotlight", "events", "tail", *words, "--json"]
        process = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        heard: list[Any] = []
        assert json.loads(process.stdout.readline())["what"] == "listening"
        try:
            yield heard
        finally:
            process.terminate()
            heard += [json.loads(line) for line in process.stdout.read().splitlines()]
            process.wait(10)


@pytest.fixture(scope="module")
def hands(platform: Platform) -> Hands:
    return Hands(platform)


@pytest.fixture(scope="module")
def shop(hands: Hands, user: User) -> Hands:
    """The broker, its triggers and their sleeping functions, as examples/shop has them."""
    autoscaler = "api/v1/namespaces/knative-serving/configmaps/config-autoscaler"
    user.patch(autoscaler, {"data": {"stable-window": "6s"}})
    functions = (SHOP / "functions.yaml").read_text().replace("/path/to/examples/shop", str(SHOP))
    hands.type("kubectl", "apply", "-f", "-", stdin=functions)
    applied = hands.type("kubectl", "apply", "-f", str(SHOP / "broker.yaml"))
    assert applied.split() == [
        "broker.eventing.knative.dev/shop", "created",
        "trigger.eventing.knative.dev/orders", "created",
        "trigger.eventing.knative.dev/shipping", "created",
    ]  # fmt: skip
    ready = ("--for=condition=Ready", "--timeout=30s")
    hands.type("kubectl", "wait", *ready, "ksvc/shop-orders", "ksvc/shop-shipping")
    hands.type("kubectl", "wait", *ready, "broker/shop", "trigger/orders", "trigger/shipping")
    return hands


def states(hands: Hands, id: str) -> dict[str, str]:
    """By trigger, of the one record of this event."""
    ended = hands.json("events", "why", id)
    return {each["subscription"].rpartition("/")[2]: each["state"] for each in ended["found"][0]["subscriptions"]}


def test_events_of_every_form_wake_a_function_whose_reply_reaches_the_next(shop: Hands, user: User) -> None:
    for name in ("shop-orders", "shop-shipping"):
        user.until_asleep(name, 40)
    lamp = json.dumps({"items": ["lamp"]})
    with shop.tail("--broker", "shop") as heard:
        binary = {f"ce_{name}": value for name, value in ORDER.items()}
        assert shop.post("shop", lamp, ce_id="binary", content_type="application/json", **binary) == 202
        structured = json.dumps({**ORDER, "id": "structured", "data": {"items": ["lamp", "bulb"]}})
        assert shop.post("shop", structured, content_type="application/cloudevents+json") == 202
        batch = json.dumps([{**ORDER, "id": f"batch-{n}", "data": {"items": [1]}} for n in range(3)])
        assert shop.post("shop", batch, content_type="application/cloudevents-batch+json") == 202
        ids = ["binary", "structured", "batch-0", "batch-1", "batch-2"]

        def all_shipped() -> bool:
            rows = {row["name"]: row for row in shop.json("top")["subscriptions"]}
            done = [states(shop, id)["orders"] == "delivered" for id in ids]
            return all(done) and rows["shipping"]["backlog"] == rows["shipping"]["inFlight"] == 0

        user.until("everything is delivered", all_shipped, 30)
    told = [(each["what"], each["about"].partition("/")[0]) for each in heard]
    assert told.count(("accepted", "broker")) == 10, "five orders, five replies"
    delivered = [each for each in heard if each["what"] == "delivered"]
    assert sorted(each["event"]["id"] for each in delivered if each["about"].endswith("orders")) == sorted(ids)
    shipped = [each for each in delivered if each["about"] == "trigger/default/shipping"]
    assert sorted(each["event"]["subject"] for each in shipped) == sorted(ids)
    assert {each["code"] for each in shipped} == {204}
    assert states(shop, "binary") == {"orders": "delivered", "shipping": "filtered"}


def test_why_an_event_was_not_delivered_and_how_it_is_sent_again(shop: Hands, user: User) -> None:
    assert shop.pilotlight("emit", "com.example.order", "--broker", "shop", "--id", "empty", "-d", "{}") == (
        "202, id empty\n"
    )
    user.until("it is dead", lambda: states(shop, "empty")["orders"] == "dead-letter", 30)
    said = shop.pilotlight("events", "why", "empty")
    assert "trigger/default/orders    dead-letter" in said
    assert said.count("500  the subscriber answered 500") == 4, "the first try and three retries, as the Broker says"
    assert """type is "com.example.order\"""" in said, "why the other trigger did not get it"
    (letter,) = shop.json("dlq", "list", "orders")["items"]
    number = str(letter["number"])
    assert "knativeerrorcode: 500" in shop.pilotlight("dlq", "show", number)
    assert shop.pilotlight("dlq", "redrive", number) == "1 dead letter on the way again\n"
    again = user.until("it is dead again", lambda: shop.json("dlq", "list", "orders")["items"][1:], 30)
    assert [each["fate"] for each in again] == ["waiting"]
    assert shop.pilotlight("dlq", "drop", "--trigger", "orders") == "1 dead letter dropped\n", "not the redriven one"
    assert "no broker or channel has an event with the id 'none'" in shop.pilotlight("events", "why", "none", code=1)
    assert "numbers of dead letters, or --trigger" in shop.pilotlight("dlq", "redrive", code=2)


def test_the_past_once_more(shop: Hands, user: User) -> None:
    for number in range(3):
        shop.pilotlight("emit", "com.example.past", "--broker", "shop", "--id", f"past-{number}", "-d", '{"items":[1]}')
    shop.pilotlight("trigger", "create", "late", "--broker", "shop", "--sink", "shop-shipping", "--wait",
                    "--filter", "type=com.example.past")  # fmt: skip
    user.until("told apart", lambda: states(shop, "past-0")["late"] in ("earlier", "done"))
    shown = shop.pilotlight("events", "replay", "late", "--from", "earliest", "--dry-run").splitlines()
    assert [line.split()[1:] for line in shown] == [
        *(["com.example.past", f"past-{number}"] for number in range(3)),
        ["match"],
    ]
    words = ("events", "replay", "late", "--from", "1h", "--filter", "id <> 'past-1'")
    assert shop.pilotlight(*words) == "2 delivered, 0 failed of 2 that match\n"
    aside = shop.pilotlight(*words, "--sink", "broker:shop", "--json").splitlines()
    assert json.loads(aside[-1])["delivered"] == 2
    assert "filter: Invalid value" in shop.pilotlight(
        "events", "replay", "late", "--from", "0", "--filter", "id =", code=1
    )
    assert "there is no trigger/default/never" in shop.pilotlight("events", "replay", "never", "--from", "0", code=1)


def test_what_kn_types(hands: Hands) -> None:
    hands.pilotlight("broker", "create", "typed", "--retry", "2", "--backoff-delay", "PT1S", "--wait")
    assert "typed" in hands.pilotlight("broker", "list")
    hands.pilotlight("broker", "update", "typed", "--retry", "5")
    assert hands.json("broker", "describe", "typed")["spec"]["delivery"]["retry"] == 5
    hands.pilotlight(
        "trigger", "create", "typed", "--broker", "typed", "--sink", "http://example.com/", "--filter", "a=b"
    )
    hands.pilotlight("trigger", "update", "typed", "--filter", "a-", "--filter", "type=c")
    spec = hands.json("trigger", "describe", "typed")["spec"]
    assert (spec["filter"]["attributes"], spec["subscriber"]["uri"]) == ({"type": "c"}, "http://example.com/")
    hands.pilotlight("trigger", "update", "typed", "--filter", "type-", "--cesql", "type = ")
    reason = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}"
    hands.type("kubectl", "wait", "--for=condition=Ready=False", "trigger/typed", "--timeout=10s")
    assert hands.pilotlight("trigger", "describe", "typed", "-o", reason) == "InvalidFilter"
    hands.pilotlight("channel", "create", "typed", "--type", "imc")
    hands.pilotlight("subscription", "create", "typed", "--channel", "typed", "--sink", "broker:typed")
    assert "broker:typed" in hands.pilotlight("subscription", "list")
    hands.pilotlight("eventtype", "create", "typed", "--type", "a.b", "--source", "/s", "--broker", "typed")
    assert "Attributes: type=a.b" in hands.pilotlight("eventtype", "describe", "typed")
    hands.pilotlight(
        "source", "ping", "create", "typed", "--schedule", "0 0 1 1 *", "--data", "{}", "--sink", "broker:typed"
    )
    assert "0 0 1 1 *" in hands.pilotlight("source", "ping", "list")
    assert [each["metadata"]["name"] for each in hands.json("source", "list")["items"]] == ["typed"]
    assert "KafkaSource" in hands.pilotlight("source", "list-types")
    for group in (["source", "ping"], ["eventtype"], ["subscription"], ["channel"], ["trigger"], ["broker"]):
        name = hands.json(*group, "list")["items"][0]["kind"] if group != ["trigger"] else "Trigger"
        deleted = hands.pilotlight(*group, "delete", "typed", "--wait")
        assert deleted == f"{name} 'typed' successfully deleted in namespace 'default'.\n"
    assert "needs --sink" in hands.pilotlight("trigger", "create", "none", code=2)
    assert 'triggers.eventing.knative.dev "none" not found' in hands.pilotlight("trigger", "describe", "none", code=1)


def accepted_at(ports: set[int]) -> set[str]:
    """The far ends of every connection that was accepted at these ports, those that are closing included."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = "0A"
    return {row[2] for row in rows if int(row[1].rpartition(":")[2], 16) in ports and row[3] != listening}


def counted(user: User, name: str) -> Any:
    (pod,) = user.pods(name)
    address = pod["metadata"]["annotations"]["pilotlight.dev/address"]
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/")
    return json.loads(connection.getresponse().read())


def test_an_event_is_transferred_twice_and_its_reply_once(hands: Hands, platform: Platform, user: User) -> None:
    count = 50
    warm = {"min-scale": "1", "max-scale": "1"}
    for name, env in (("first", {"REPLY": "second"}), ("second", {})):
        user.deploy(make_service(name, COUNTING, annotations=warm, env=env))
    hands.pilotlight("broker", "create", "counted", "--wait")
    for name in ("first", "second", "nobody"):
        sink = "first" if name == "nobody" else name
        words = ("--broker", "counted", "--filter", f"type={name}", "--sink", sink, "--wait", "-a",
                 "pilotlight.dev/parallelism=1")  # fmt: skip
        hands.pilotlight("trigger", "create", name, *words)
    ports = {int(url.rpartition(":")[2]) for url in (platform.running.gateway, platform.running.inside)}
    before = accepted_at(ports)
    connection = http.client.HTTPConnection("127.0.0.1", user.port, timeout=20)
    for number in range(count):
        headers = {"Host": "broker-ingress.localhost", "ce-specversion": "1.0", "ce-source": "/test",
                   "ce-type": "first", "ce-id": str(number), "Content-Type": "application/json"}  # fmt: skip
        connection.request("POST", "/default/counted", b"{}", headers)
        response = connection.getresponse()
        response.read()
        assert response.status == 202
    user.until("all replies are there", lambda: len(counted(user, "second")["events"]) == count)
    ours = accepted_at(ports) - before
    assert len(ours) == 1, f"one connection came to the gateway, that of the producer: {ours}"
    first, second = counted(user, "first"), counted(user, "second")
    assert first["events"] == [str(number) for number in range(count)], "the second transfer, and nothing for `nobody`"
    assert second["events"] == [f"reply-to-{number}" for number in range(count)], "the one transfer of a reply"
    assert (first["connections"], second["connections"]) == (1, 1)
