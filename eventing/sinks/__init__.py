"""Where events may go that is no service, one file per kind of sink: all of one shape, listed in `registry`."""
