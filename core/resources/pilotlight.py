"""Names that are ours: the `pilotlight.dev/*` labels and annotations, and what each is for."""

from __future__ import annotations

PREFIX = "pilotlight.dev/"

ADDRESS = PREFIX + "address"
"""On a Pod, by the node: `127.0.0.1:41234`, where its serving port can be reached from the host."""

TIMELINE = PREFIX + "timeline"
"""On a Pod, by the node: `created=<epoch>,started=<epoch>,ready=<epoch>`, six decimals, for the cold-start ledger."""

RETRY_AT = PREFIX + "retry-at"
"""On a Pod, by the node: while a container waits after a failure, when it starts again, in seconds since the epoch."""

IDLE_ACTION = PREFIX + "idle-action"
"""On a revision template, by the user: what becomes of the last instance at scale zero."""

IDLE_STOP = "stop"
IDLE_PAUSE = "pause"

PAUSED = PREFIX + "paused"
"""On a Pod, by the deployment controller: `true` while it is to be kept frozen."""

INITIALIZED = PREFIX + "initialized"
"""In a Revision's status, by its controller: `true` once its initial scale was reached; from then on it may sleep."""
