"""Chapter 11: which tokens gain, by the recipe of chapter 2."""
