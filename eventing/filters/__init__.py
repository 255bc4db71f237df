"""Which events a Trigger takes: the filter dialects of Knative and of the Subscriptions API, CESQL among them. Pure."""
