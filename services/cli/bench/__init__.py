"""`emostream bench`: measures the pipeline on this machine."""
