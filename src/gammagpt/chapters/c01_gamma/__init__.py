"""Chapter 1: the gamma rule, and what it is as a standard deviation."""
