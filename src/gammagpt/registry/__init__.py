"""registry: finds the chapters' studies, claims' verdicts and exercises; what a tier costs."""
