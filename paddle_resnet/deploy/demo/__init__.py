"""The page of the service, and of `--format web`: one design, two ways to classify."""
