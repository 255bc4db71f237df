"""SQS and STS that say again what moto said: `tests/scalers/recorded/aws_sqs.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from tests.support.answering import Answering, Asked, ok

RECORDED: Final = json.loads((Path(__file__).parents[1] / "scalers/recorded/aws_sqs.json").read_text())["answers"]


def said(name: str) -> bytes:
    """One recorded answer."""
    return ok(RECORDED[name]["body"], f"{RECORDED[name]['status']} Status")


class ReplayedAws(Answering):
    """Both at one address. `queues`: what is said of which; `refused`: what is said of all."""

    def __init__(self) -> None:
        self.queues = {"orders": "a queue", "empty": "an empty queue"}
        self.refused = ""
        super().__init__(self._answer)

    @property
    def actions(self) -> list[str]:
        return [_action(asked) for asked in self.asked]

    def _answer(self, asked: Asked) -> bytes:
        if self.refused:
            return said(self.refused)
        if asked.headers.get("x-amz-target"):
            queue = json.loads(asked.body)["QueueUrl"].rpartition("/")[2]
            return said(self.queues.get(queue, "no such queue"))
        return said(_action(asked))


def _action(asked: Asked) -> str:
    return asked.headers.get("x-amz-target", "").rpartition(".")[2] or parse_qs(asked.body.decode())["Action"][0]
