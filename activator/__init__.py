"""The data path: holds a request until an instance can take it, then streams both ways."""
