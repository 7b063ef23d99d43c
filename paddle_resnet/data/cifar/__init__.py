"""CIFAR-10 and CIFAR-100: found, verified, loaded."""
