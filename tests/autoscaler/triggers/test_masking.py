"""autoscaler/triggers/masking.py: what must not be told, and what may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.triggers.masking import CHARS_MAX, masked
from tests.autoscaler.triggers.sources import trigger

TRIGGER = replace(
    trigger("orders", hostFromEnv="AMQP_URL", passwordFromEnv="GONE"),
    auth={"password": "hunter22", "ca": "-----BEGIN-----\nabc\n", "short": "abc"},
    env={"AMQP_URL": "amqp://guest:s3cret@rabbit:5672/vhost", "HOME": "/home/app"},
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("login with hunter22 refused", "login with *** refused", id="of its authentication"),
        pytest.param(
            "cannot reach amqp://guest:s3cret@rabbit:5672/vhost", "cannot reach amqp://***@rabbit:5672/vhost", id="URL"
        ),
        pytest.param("no file /home/app/x", "no file /home/app/x", id="a variable that nobody refers to"),
        pytest.param("abc", "abc", id="too short to be told from words"),
        pytest.param("x" * 1000, "x" * (CHARS_MAX - 1) + "…", id="long"),
    ],
)
def test_masked(text: str, said: str) -> None:
    assert masked(text, TRIGGER) == said
