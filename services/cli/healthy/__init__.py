"""`emostream healthy`: whether a stage is live, or ready, for health checks."""
