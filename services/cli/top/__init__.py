"""`emostream top`: rates, latency and losses of each stage."""
