"""One package a chapter: `studies` makes its runs of its notebook's parameters."""
