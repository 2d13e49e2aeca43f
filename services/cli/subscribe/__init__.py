"""`emostream subscribe`: prints events as they arrive."""
