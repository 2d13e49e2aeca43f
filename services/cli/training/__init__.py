"""`emostream train`: trains a classifier."""
