"""probes: what is measured of a model while it trains."""
