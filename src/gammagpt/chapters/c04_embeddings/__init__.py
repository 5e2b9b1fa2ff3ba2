"""Chapter 4: embeddings that know arithmetic."""
