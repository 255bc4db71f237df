"""Where the parameters of a trigger's authentication come from, one source per file; for `scalers.authentication`."""
