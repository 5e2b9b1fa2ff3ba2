"""Chapter 18: the scale of one GPU."""
