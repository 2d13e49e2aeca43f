"""`emostream keys`: creates this host's keys, and manages the allowed peers."""
