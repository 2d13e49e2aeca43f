"""`emostream subscribe`: prints events as they come."""
