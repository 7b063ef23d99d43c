"""The training loop and the objects whose state a checkpoint holds."""
