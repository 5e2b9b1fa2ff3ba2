"""Chapter 7: reasoning and memory in language."""
