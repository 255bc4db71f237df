"""Ways to run a container of a Pod on this machine, one file each, listed in `registry`."""
