"""`service`, `revision`, `route`, `domain` with kn's own flags (knative/client, docs/cmd)."""
