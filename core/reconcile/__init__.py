"""The keyed work queue and the loop that every controller shares."""
