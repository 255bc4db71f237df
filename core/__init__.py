"""The floor: what a resource is, where it is kept, how it is watched. Imports nothing above itself."""
