"""`emostream init`: writes a Procfile and a commented configuration to a folder."""
