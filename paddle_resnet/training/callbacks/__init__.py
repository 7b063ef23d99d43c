"""Callbacks of a training, compatible with ``paddle.callbacks.Callback``."""
