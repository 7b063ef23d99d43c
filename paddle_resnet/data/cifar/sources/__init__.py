"""Where CIFAR-10 can come from: one function a file, tried in turn by `data.cifar10`.

Each takes a function that shows the user a line, and returns the arrays as they came, unverified.
It raises FileNotFoundError where it has nothing to offer and DataError where it tried and failed.
"""
