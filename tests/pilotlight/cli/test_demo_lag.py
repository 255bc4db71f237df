"""`pilotlight demo lag`, with a real Kafka and a real RabbitMQ: both consumers go from zero to many and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotlight.cli.demo import EXAMPLES
from pilotlight.cli.demo_lag import MISSING, run_demo_lag
from pilotlight.cli.session import UsageProblem
from tests.support.kafka import kafka_server
from tests.support.rabbitmq import Rabbitmq

pytestmark = pytest.mark.timeout(300)


def test_the_whole_story(
    rabbitmq: Rabbitmq, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", kafka_server().bootstrap)
    monkeypatch.setenv("RABBITMQ_URL", rabbitmq.uri())
    steps: list[str] = []
    run_demo_lag(EXAMPLES, steps.append)
    assert steps[-1] == "all stopped, the folder removed"
    assert [step for step in steps if step.startswith("sent")] == ["sent 100 orders"] * 2
    said = capsys.readouterr().out
    assert "8 of 8 ready" in said, f"Kafka: one for each partition\n{said}"
    assert "10 of 10 ready" in said, f"RabbitMQ: one for each ten messages\n{said}"
    assert said.count("  0 of 0 ready") == 2


def test_no_broker_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP", "RABBITMQ_URL", "KAFKA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("pilotlight.cli.demo_brokers.RABBITMQ_FOLDERS", ())
    monkeypatch.setattr("pilotlight.cli.demo_brokers.KAFKA_FOLDERS", ())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere")
    with pytest.raises(UsageProblem) as raised:
        run_demo_lag(EXAMPLES, lambda step: None)
    assert str(raised.value) == MISSING
    with pytest.raises(UsageProblem, match="examples/lag is not here"):
        run_demo_lag(tmp_path, lambda step: None)
