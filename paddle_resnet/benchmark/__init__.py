"""Measurements of speed: steps, loaders, frameworks, the CPU set-up."""
