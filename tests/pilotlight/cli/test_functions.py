"""Where the time went, in one line."""

from __future__ import annotations

from core.resources.meta import Json
from pilotlight.cli.functions import as_applied, parse_server_timing, timing_line


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


def owned(operation: str, fields: Json, manager: str = "pilotlight") -> Json:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def test_what_was_written_of_a_template_counts_as_applied() -> None:
    written = {"f:spec": {"f:template": {"f:spec": {"f:volumes": {}}}, "f:traffic": {}}, "f:metadata": {"f:labels": {}}}
    other = owned("Update", written, manager="kubectl")
    rest = owned("Update", {"f:spec": {"f:traffic": {}}, "f:metadata": {"f:labels": {}}})
    assert as_applied([other, owned("Update", written)]) == [
        other,
        rest,
        owned("Apply", {"f:spec": {"f:template": {"f:spec": {"f:volumes": {}}}}}),
    ]
    before = owned("Apply", {"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}})
    both = owned("Apply", {"f:spec": {"f:template": {"f:spec": {"f:containers": {}, "f:volumes": {}}}}})
    assert as_applied([before, owned("Update", written)]) == [rest, both]
    assert as_applied([other, before]) == [other, before]
