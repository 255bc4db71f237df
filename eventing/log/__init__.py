"""The event log: what an acknowledged event is written to, and what every subscription reads from."""
