"""Chapter 5: what attention does first, in the runs of chapter 4."""
