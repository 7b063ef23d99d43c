"""Bytes that come from outside of the process or go there: files, locks, downloads, pickles."""
