"""Where the time went, in one line."""

from __future__ import annotations

from pilotlight.cli.functions import parse_server_timing, timing_line


def test_a_cold_request_reads_as_its_ledger() -> None:
    header = "cold, queue;dur=0.31, decide;dur=0.4, start;dur=17.2, ready;dur=3.04, app;dur=2.96"
    timing = parse_server_timing(header)
    line = timing_line(200, 24.1, timing)
    assert line == "cold 24 ms: queue 0.3 · decide 0.4 · start 17 · ready 3.0 · app 3.0"


def test_a_warm_request_says_so() -> None:
    assert timing_line(200, 1.23, parse_server_timing("app;dur=0.9")) == "warm 1.2 ms: app 0.9"
    assert timing_line(200, 1.23, {}) == "warm 1.2 ms"


def test_a_failure_leads_with_its_status() -> None:
    assert timing_line(503, 5.0, {}).startswith("503, warm 5.0 ms")
