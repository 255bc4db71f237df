"""Where events come from, one file per kind of source: all of one shape, listed in `registry`."""
