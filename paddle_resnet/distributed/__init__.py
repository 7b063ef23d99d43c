"""Several processes in one training: collectives, gradients, synchronised BN."""
