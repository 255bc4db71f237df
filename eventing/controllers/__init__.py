"""Brokers, Triggers, channels, flows and sources as written: made to run, and told of in their statuses."""
