"""Chapter 17, the unigram plateau: why small initializations fail, and when."""
