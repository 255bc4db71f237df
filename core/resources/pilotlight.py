"""Names that are ours: the `pilotlight.dev/*` labels and annotations, and what each is for."""

from __future__ import annotations

PREFIX = "pilotlight.dev/"

ADDRESS = PREFIX + "address"
"""On a Pod, by the node: `127.0.0.1:41234`, where its serving port can be reached from the host."""

PORTS = PREFIX + "ports"
"""On a Pod, by the node: where its further ports answer at the same host, `9090=41235,9091=41236`."""

TIMELINE = PREFIX + "timeline"
"""On a Pod, by the node: `created=<epoch>,started=<epoch>,ready=<epoch>`, six decimals, for the cold-start ledger."""

RETRY_AT = PREFIX + "retry-at"
"""On a Pod, by the node: while a container waits after a failure, when it starts again, in seconds since the epoch."""

IN_FLIGHT_PATH = PREFIX + "in-flight-path"
IN_FLIGHT_FILE = PREFIX + "in-flight-file"
"""On a Pod template, by the user: where an instance says how many pieces of work it has in hand, over HTTP at a path
(`/in-flight`, or `:9000/in-flight` for another port) or in a file. One that has none is stopped first, and one that has
some is given time to finish."""

IN_FLIGHT = PREFIX + "in-flight"
"""On such a Pod, by the node: what the instance said last; `unknown` while it cannot be understood."""

IN_FLIGHT_UNKNOWN = "unknown"

IDLE_ACTION = PREFIX + "idle-action"
"""On a revision template, by the user: what becomes of the last instance at scale zero."""

IDLE_STOP = "stop"
IDLE_PAUSE = "pause"

PAUSED = PREFIX + "paused"
"""On a Pod, by the deployment controller: `true` while it is to be kept frozen."""

COUNTED = PREFIX + "counted"
"""On a Pod of a Job, by the Job's controller: `true` once the Job's status has what became of it."""

INITIALIZED = PREFIX + "initialized"
"""In a Revision's status, by its controller: `true` once its initial scale was reached; from then on it may sleep."""

# What a user may ask of eventing, as annotations; their values are read and checked by `eventing_options`.

DEDUPLICATE = PREFIX + "deduplicate"
"""On a Broker or channel: how long the source and id of an event are remembered, so that a second one is dropped."""

RETENTION_AGE = PREFIX + "retention-age"
RETENTION_BYTES = PREFIX + "retention-bytes"
"""On a Broker or channel: what is kept of its log for replay. What is not yet delivered is kept in any case."""

SCHEMA_MODE = PREFIX + "schema-mode"
"""On a Broker: what becomes of an event that breaks the JSON Schema of its EventType."""

BACKLOG_MAX = PREFIX + "backlog-max"
"""On a Broker, channel, Trigger or Subscription: how many events may wait before producers are told 429."""

BACKOFF_JITTER = PREFIX + "backoff-jitter"
"""On whatever has a delivery policy: the share of each wait that is left to chance."""

START = PREFIX + "start"
"""On a Trigger or Subscription: where in the log a new one begins."""

KEEP_CURSOR = PREFIX + "keep-cursor"
"""On a Trigger or Subscription: `true` keeps its position when it is deleted, for the next one of that name."""

DELIVERY_ORDER = PREFIX + "delivery-order"
ORDER_KEY = PREFIX + "order-key"
"""On a Trigger or Subscription: `ordered` delivers events of one key one after the other, whatever other keys do."""

PARALLELISM = PREFIX + "parallelism"
"""On a Trigger or Subscription: how many deliveries are in flight at a time."""

WAKE_AHEAD = PREFIX + "wake-ahead"
"""On a PingSource: how long before a tick its sink begins to start."""

SCHEDULED = PREFIX + "scheduled"
"""In a PingSource's status, by its controller: the moment from which on, and the schedule by which, it ticks."""

RATE_LIMIT = PREFIX + "rate-limit"
"""On a Trigger or Subscription: how many deliveries begin in a second."""
