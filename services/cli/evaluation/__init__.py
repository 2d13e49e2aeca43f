"""`emostream evaluate`: judges a model."""
