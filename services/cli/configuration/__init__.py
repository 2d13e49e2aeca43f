"""`emostream config`: shows the configuration that is in effect."""
