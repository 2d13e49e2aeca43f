"""`emostream export`: tables of recorded sessions."""
