"""Augmentations of batches, a file each."""
