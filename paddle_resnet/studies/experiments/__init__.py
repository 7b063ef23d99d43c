"""One file per experiment; none imports another."""
