"""CloudEvents on their way: taken in, kept, matched, delivered; with channels, flows, sources and sinks.

Meets the other packages in resources only. The data path works on `Event` and on small frozen values that controllers
compile from resources; it never sees a pydantic object.
"""
