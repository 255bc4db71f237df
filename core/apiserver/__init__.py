"""The Kubernetes wire protocol over a store."""
