"""What follows from numbers: laws, their fits and forecasts. Nothing here trains or draws."""
