"""A room a chapter: its studies, numbers, figures and exercises; no chapter imports another."""
