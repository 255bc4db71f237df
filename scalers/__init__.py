"""How much work is waiting, one system per file. Knows nothing of replicas: it counts, `autoscaler` decides."""
