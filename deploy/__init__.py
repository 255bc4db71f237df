"""From a Service and a number to running instances. Starts and never decides how many."""
