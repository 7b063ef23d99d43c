"""Two networks side by side: predictions, time, training."""
