"""Broker classes: where a broker's events are kept, and how a subscription gets them from there."""
