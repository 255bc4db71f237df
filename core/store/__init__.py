"""Objects, resource versions and the change feed behind one interface (`base`)."""
