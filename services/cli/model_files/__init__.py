"""`emostream models`: lists, describes, verifies, exports and fetches model files."""
