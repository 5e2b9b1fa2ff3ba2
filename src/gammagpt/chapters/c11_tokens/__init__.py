"""Chapter 11: which tokens gain, in the runs of chapter 10."""
