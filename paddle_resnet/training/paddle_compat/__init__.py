"""What only paddle.Model's interface needs."""
