"""`emostream init`: writes a Procfile and a commented configuration into a folder."""
