"""Metrics in, desired scale out. Decides and never starts anything."""
