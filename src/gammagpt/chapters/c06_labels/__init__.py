"""Chapter 6: what the labels give away."""
