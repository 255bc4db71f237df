"""Rules for every test: under CI nothing is skipped."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import postgres
from tests.support.rabbitmq import rabbitmq, vhost
from tests.support.redis import redis_server, redis_session

__all__ = ["postgres", "rabbitmq", "redis_server", "redis_session", "vhost"]  # fixtures for every test

# A busy machine is no failure. (Under CI hypothesis draws the same examples every time: its own profile.)
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A run in the background (`&`, nohup) has these ignored, and so would have every process that a test starts.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skipped test is a part of the product that nobody looked at: on CI that is a failure."""
    if os.environ.get("CI") and _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI") and _skipped:
        terminalreporter.write_line("skipped, which CI does not allow:", red=True)
        for line in _skipped:
            terminalreporter.write_line(f"  {line}")
