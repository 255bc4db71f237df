"""What pika says, in our words: of connections that do not open, of channels that close, of messages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pika import exceptions

from core.clients.rabbitmq_access import Access
from core.clients.rabbitmq_pika import content_of, open_error, parameters_of, properties_of, sentence, translated
from core.clients.rabbitmq_terms import Content, RabbitmqDown, RabbitmqRefused

HERE = Access(host="mq", port=5672, vhost="/", user="ada", password="secret")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        pytest.param(exceptions.ProbableAuthenticationError(403, "no"), 403, "does not let user ada in", id="user"),
        pytest.param(exceptions.ConnectionClosedByBroker(530, "no vhost x"), 530, "no vhost x", id="host"),
        pytest.param(exceptions.ConnectionClosedByBroker(320, "over"), None, "does not answer: over", id="other"),
        pytest.param(OSError(111, "Connection refused"), None, "does not answer: Connection refused", id="nobody"),
        pytest.param(
            exceptions.AMQPConnectionError(exceptions.ConnectionClosedByBroker(403, "refused")), 403, "refused",
            id="what happened inside what happened",
        ),
    ],
)  # fmt: skip
def test_a_connection_that_does_not_open(error: BaseException, code: int | None, text: str) -> None:
    said = open_error(error, HERE)
    assert (said.code if isinstance(said, RabbitmqRefused) else None) == code
    assert text in str(said)
    assert "secret" not in str(said)


def test_what_closes_a_channel_is_a_refusal_and_all_else_a_loss() -> None:
    refused = translated(exceptions.ChannelClosedByBroker(404, "no queue"))
    assert isinstance(refused, RabbitmqRefused)
    assert (refused.code, str(refused)) == (404, "no queue")
    lost = translated(exceptions.StreamLostError("reset"))
    assert isinstance(lost, RabbitmqDown)
    assert "reset" in str(lost)
    assert translated(lost) is lost
    assert sentence(ValueError()) == "ValueError"


def test_a_message_is_the_same_after_its_way_there_and_back() -> None:
    content = Content(b"body", "text/plain", {"a": 1}, "id-1")
    assert content_of(properties_of(content), b"body") == content
    properties = properties_of(content)
    properties.timestamp = 0
    assert content_of(properties, b"").timestamp == datetime(1970, 1, 1, tzinfo=UTC)


def test_the_connection_has_a_name_and_is_who_it_was_told_to_be() -> None:
    parameters = parameters_of(HERE, "broker default/main")
    assert parameters.client_properties["connection_name"] == "pilotlight broker default/main"
    assert (parameters.host, parameters.virtual_host, parameters.credentials.username) == ("mq", "/", "ada")
