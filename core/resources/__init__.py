"""Types, defaults and validation by API group; no I/O and no clock in here."""
