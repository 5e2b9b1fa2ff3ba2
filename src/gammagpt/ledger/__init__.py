"""What was claimed, what was measured, and how a verdict is read off both."""
