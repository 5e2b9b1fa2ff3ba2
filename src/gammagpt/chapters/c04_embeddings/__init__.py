"""Chapter 4: embeddings that know arithmetic, in the runs of chapter 3."""
