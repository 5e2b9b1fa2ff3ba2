"""Numbers and pictures that several chapters share."""
