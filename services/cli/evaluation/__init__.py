"""`emostream evaluate`: evaluates a model."""
