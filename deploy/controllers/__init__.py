"""Controllers: one kind of object in, others out; each a `Reconciler` for `core.reconcile.controller`."""
