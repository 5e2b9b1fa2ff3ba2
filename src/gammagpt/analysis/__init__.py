"""Numbers and pictures that several chapters share: gains, learning rates, laws, probed runs."""
