"""`emostream healthy`: checks whether a stage is live or ready."""
