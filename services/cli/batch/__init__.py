"""`emostream batch`: many recordings on Ray Data."""
