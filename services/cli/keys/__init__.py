"""`emostream keys`: makes this host's keys, and says who is let in."""
