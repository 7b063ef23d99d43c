"""The version of the package. It is also in setup.py."""

__version__ = "0.1.0"
