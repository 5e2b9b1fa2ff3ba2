"""From parameters to runs: the settings that are compared, and the studies that compare them."""
