"""Chapter 15: the rule, and what to do tomorrow."""
