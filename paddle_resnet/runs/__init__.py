"""A run is a folder: everything that a training stores, written and read."""
